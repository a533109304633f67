"""What a test can ask about itself."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from sessionwatch import outlets, rules
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.counts import Counts
from sessionwatch.records.redaction import redacting
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.stand_in import StandIn
from sessionwatch.testing.errors import LeakError

if TYPE_CHECKING:
    from sessionwatch.rules.rule import Finding


class TestHandle:
    """The sessions, counts and findings of one test so far, with those of its requests."""

    __test__ = False

    def __init__(self, owner: StandIn) -> None:
        self._owner = owner
        self._before: set[SessionRecord | ConnectionHold] = set()

    def fixtures_are_set_up(self) -> None:
        """Leave out of `assert_clean` what is open now: the test's fixtures will close it."""
        self._before = {*self._owner.used_sessions(), *self._owner.used_holds()}

    @property
    def sessions(self) -> list[SessionRecord]:
        """Every session that the test, its fixtures and its requests have opened."""
        return self._owner.used_sessions()

    @property
    def counts(self) -> Counts:
        """The numbers of these sessions, and of connections that no session had."""
        return self._owner.counts(self._owner.recorder.clock())

    @property
    def findings(self) -> list[Finding]:
        """What was found; a request is judged when it is over, the test itself at its end."""
        return list(self._owner.findings)

    def assert_clean(self) -> None:
        """Raise `LeakError` for errors found so far, and for what the test holds open now.

        What its fixtures had open when it began is not meant, nor what is below an error.
        """
        if self._owner.leaves_connections_out():
            gc.collect()
        raise_for([*self.findings, *self._open_now()], "is not clean", self._owner)

    def _open_now(self) -> list[Finding]:
        return [
            finding
            for finding in rules.sw101.check(self._owner)
            if finding.leaked not in self._before and not self._owner.permits(finding.code)
        ]


def is_failure(finding: Finding) -> bool:
    """Whether a finding makes a test fail: warnings and what is merely told do not."""
    return finding.severity is rules.rule.Severity.ERROR


def raise_for(findings: list[Finding], verdict: str, owner: StandIn) -> None:
    """Raise `LeakError` with the text of every error among some findings, if there is one."""
    errors = [finding for finding in findings if is_failure(finding)]
    if errors:
        raise LeakError(failure_text(errors, verdict, owner))


def failure_text(findings: list[Finding], verdict: str, owner: StandIn) -> str:
    """Return the texts of findings below a line that says how many there are, and whose."""
    number = "one finding" if len(findings) == 1 else f"{len(findings)} findings"
    with redacting(owner.recorder.redact):
        texts = [outlets.log.finding_text(finding) for finding in findings]
    return "\n".join([f"sessionwatch: {owner.name} {verdict}: {number}", *texts])
