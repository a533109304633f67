"""How the verdict on a test that ran in another process comes here: with its reports."""

from __future__ import annotations

from typing import Any

import pytest

from sessionwatch.testing.summary import Summary
from sessionwatch.testing.verdict import Verdict

_VERDICT = "sessionwatch"
"""The user property of a test, and so of its report, that is a verdict."""


class Reports:
    """The plugin that takes verdicts out of reports before others see them.

    It is registered once there is another process that may send some, as it takes time to be asked
    about each of a test's three reports.
    """

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take the verdict, which stands in the report of the teardown."""
        if report.when == "teardown":
            self._summary.tests.add(report.nodeid)
            verdict = take_verdict(report.user_properties)
            if verdict is not None:
                self._summary.add(verdict, report.nodeid)


def send_verdict(verdict: Verdict, properties: list[tuple[str, Any]]) -> None:
    """Put a verdict among the user properties of its test."""
    properties.append((_VERDICT, verdict.to_dict()))


def take_verdict(properties: list[tuple[str, Any]]) -> Verdict | None:
    """Take it out of them again, if there is one."""
    for index, (name, plain) in enumerate(properties):
        if name == _VERDICT:
            del properties[index]
            return Verdict.from_dict(plain)
    return None
