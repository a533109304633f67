"""What a rule is, and what it finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sessionwatch.records.stack import NO_STACK, Frame, Stack

if TYPE_CHECKING:
    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.session import SessionRecord


class Evidence(enum.StrEnum):
    """What a finding rests on."""

    PROOF = "proof"
    """A contract was broken."""
    LOST_WORK = "lost work"
    """Writes did not survive, or survived half."""
    SUSPECT = "suspect"
    """It may be meant, or may yet resolve."""


class Severity(enum.StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """A number to compare severities by; higher is worse."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the catalogue; `code` is stable for ever."""

    code: str
    name: str
    evidence: Evidence
    severity: Severity
    cause: str
    fix: str
    fine: str
    """When what the rule looks for is no fault."""
    broken: str
    """A minimal program that has the fault, but for the prelude that all have in common."""
    correct: str
    """The same program without it."""
    opt_in: bool = False
    """Whether it is off until its whole code is named in `select` or `extend_select`."""

    @property
    def title(self) -> str:
        """The name as words: "session leak"."""
        return self.name.replace("-", " ")

    def finding(
        self,
        owner: Owner,
        what: str,
        opened_at: Stack | None,
        *,
        severity: Severity | None = None,
        evidence: Evidence | None = None,
        related: tuple[str, ...] = (),
        details: dict[str, Any] | None = None,
        fix: str | None = None,
        leaked: SessionRecord | ConnectionHold | None = None,
        subject: str = "",
        at_ns: int = 0,
    ) -> Finding:
        """Return a finding of this rule; `what` ends the first line of its message.

        `at_ns` is the moment that it speaks of, by the watch's clock; without it, the moment when
        it is reported.
        """
        return Finding(
            rule=self,
            owner=owner,
            message=f"{self.code} {self.title}: {what}",
            opened_at=opened_at or NO_STACK,
            severity=severity or self.severity,
            evidence=evidence or self.evidence,
            fix=fix or self.fix,
            related=related,
            details=details or {},
            leaked=leaked,
            subject=subject,
            at_ns=at_ns,
        )


FindingKey = tuple[str, Severity, str, Frame | None]
"""Code, severity, owner and opening place: what findings share that are one thing seen twice."""


@dataclass(slots=True)
class Finding:
    """What was seen, of whom, where it was opened and what to do."""

    rule: Rule
    owner: Owner
    message: str
    opened_at: Stack
    severity: Severity
    evidence: Evidence
    fix: str
    related: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    leaked: SessionRecord | ConnectionHold | None = None
    """What is still out, and whose return would be news."""
    subject: str = ""
    """What it is about where that is not its owner: the name of a pool."""
    at_ns: int = 0
    """The moment that it speaks of, by the watch's clock; 0 until it is reported for now."""

    @property
    def code(self) -> str:
        """The stable code, such as "SW101"."""
        return self.rule.code

    @property
    def name(self) -> str:
        """The name that goes with the code, such as "session-leak"."""
        return self.rule.name

    @property
    def place(self) -> Frame | None:
        """The application's line that opened the session or connection."""
        return self.opened_at.place

    @property
    def key(self) -> FindingKey:
        """What this finding is counted under."""
        return self.code, self.severity, self.subject or self.owner.label, self.place
