"""Annotations of GitHub Actions: a line of output that shows beside the line of code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from sessionwatch.outlets.reportable import Reportable

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def github_annotations(findings: Sequence[Reportable]) -> str:
    """Return a workflow command for each finding, such as `::error file=app.py,line=3::…`."""
    return "".join(f"{_annotation(finding)}\n" for finding in findings)


def _annotation(finding: Reportable) -> str:
    properties = {"title": f"{finding.code} {finding.name}"}
    if finding.file:
        properties["file"] = PurePath(finding.file).as_posix()
        properties["line"] = str(max(finding.line, 1))
    if finding.column:
        properties["col"] = str(finding.column)
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    told = finding.message if not finding.test else f"{finding.test}: {finding.message}"
    message = _data(f"{told}\nfix: {finding.fix}")
    return f"::{_COMMANDS[finding.severity]} {written}::{message}"


def _data(text: str) -> str:
    """Escape a message (toolkit/packages/core/src/command.ts of GitHub's actions)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
