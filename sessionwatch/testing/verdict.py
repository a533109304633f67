"""What was seen of one test or fixture: plain values, which a worker process can send."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sessionwatch.ledger import FindingEntry
from sessionwatch.outlets.plain import plain_finding
from sessionwatch.outlets.reportable import Reportable
from sessionwatch.records.counts import COUNT_NAMES
from sessionwatch.records.redaction import redacting
from sessionwatch.records.stand_in import StandIn
from sessionwatch.rules.rule import Finding, at
from sessionwatch.testing.handle import is_failure

_MOST_HOLDERS = 3


@dataclass(slots=True)
class Verdict:
    """The findings of a test or fixture, those tolerated among them, and its numbers."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    """Each as `Reportable.to_dict` gives it."""
    tolerated: list[str] = field(default_factory=list)
    """The fingerprints of those that the baseline knows."""
    counts: dict[str, int] = field(default_factory=dict)
    """What is not zero."""
    holders: list[tuple[float, str]] = field(default_factory=list)
    """The sessions that held connections longest: seconds, and whose and where."""
    unused_allows: list[str] = field(default_factory=list)
    """Codes that its mark allows and that were not found."""

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Return what `to_dict` was made of."""
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Return it as values that JSON and `marshal` know."""
        return asdict(self)

    def reportables(self) -> list[Reportable]:
        """Return the findings that the baseline does not know."""
        return [
            Reportable.from_dict(each)
            for each in self.findings
            if each["fingerprint"] not in self.tolerated
        ]


def judge(owner: StandIn, test: str, known: Collection[str]) -> tuple[Verdict, list[Finding]]:
    """Return the verdict on what has ended, and those findings that are to fail.

    `test` is the id of the test that it was, if it was one; `known` are the fingerprints of the
    baseline.
    """
    verdict = Verdict(unused_allows=sorted(owner.permitted - owner.permitted_and_found))
    failing = []
    with redacting(owner.recorder.redact):
        for finding in owner.findings:
            plain = _reportable(finding, test).to_dict()
            verdict.findings.append(plain)
            if plain["fingerprint"] in known:
                verdict.tolerated.append(plain["fingerprint"])
            elif is_failure(finding):
                failing.append(finding)
        verdict.holders = _holders(owner)
    values = owner.counts(owner.ended_ns).values()
    counted = zip(COUNT_NAMES, values, strict=True)
    verdict.counts = {name: number for name, number in counted if number}
    return verdict, failing


def _reportable(finding: Finding, test: str) -> Reportable:
    parent = finding.owner.parent
    return Reportable.from_finding(
        plain_finding(FindingEntry(finding, 1, 0.0, 0.0)),
        test=test or (parent.name if parent is not None else ""),
    )


def _holders(owner: StandIn) -> list[tuple[float, str]]:
    sessions = [session for session in owner.used_sessions() if session.held_ns]
    sessions.sort(key=lambda session: -session.held_ns)
    return [
        (session.held_ns / 1e9, f"{owner.name}: session opened{at(session.opened_at)}")
        for session in sessions[:1]
    ]


def longest(holders: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return those that held longest, no more than fit a summary."""
    return sorted(holders, reverse=True)[:_MOST_HOLDERS]
