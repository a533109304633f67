"""What was seen of one test or fixture: plain values, which a worker process can send."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self

from sessionwatch import outlets, testing
from sessionwatch.ledger import FindingEntry
from sessionwatch.records.counts import COUNT_NAMES, Counts
from sessionwatch.records.redaction import redacting
from sessionwatch.records.stand_in import StandIn
from sessionwatch.rules.words import at

if TYPE_CHECKING:
    from sessionwatch.outlets.reportable import Reportable
    from sessionwatch.rules.rule import Finding

Holder = tuple[float, str]
"""How many seconds it held connections, and whose and where it was opened."""


class Verdict:
    """The findings of a test or fixture, those tolerated among them, and its numbers."""

    __slots__ = ("counts", "findings", "holders", "tolerated", "unused_allows")

    def __init__(
        self,
        findings: Sequence[dict[str, Any]] = (),
        tolerated: Sequence[str] = (),
        counts: dict[str, int] | None = None,
        holders: Sequence[Holder] = (),
        unused_allows: Sequence[str] = (),
    ) -> None:
        self.findings = findings
        """Each as `Reportable.to_dict` gives it."""
        self.tolerated = tolerated
        """The fingerprints of those that the baseline knows."""
        self.counts = counts
        """What is not zero, and is not in the totals of a process that tells them at its end."""
        self.holders = holders
        self.unused_allows = unused_allows
        """Codes that its mark allows and that were not found."""

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Return what `to_dict` was made of."""
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Return it as values that JSON and `marshal` know."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


def judge(
    owner: StandIn, test: Any, known: Collection[str], longest_ns: int, counts: dict[str, int]
) -> tuple[Verdict | None, list[Finding]]:
    """Return the verdict on what has ended, and those findings that are to fail.

    `test` is the test that it was, if it was one; `known` are the fingerprints of the baseline;
    who held longer than `longest_ns` is told, as are the `counts`. There is no verdict where there
    is nothing to tell, as of nearly all tests.
    """
    held = _holders(owner, longest_ns)
    if not (held or counts or owner.findings or owner.permitted):
        return None, []
    findings, tolerated, failing = [], [], []
    name = "" if test is None else test.nodeid
    with redacting(owner.recorder.redact) if owner.findings else nullcontext():
        for finding in owner.findings:
            plain = _reportable(finding, name).to_dict()
            findings.append(plain)
            if plain["fingerprint"] in known:
                tolerated.append(plain["fingerprint"])
            elif testing.handle.is_failure(finding):
                failing.append(finding)
    unused_allows = sorted(owner.permitted - owner.permitted_and_found)
    return Verdict(findings, tolerated, counts, held, unused_allows), failing


def counted(counts: Counts) -> dict[str, int]:
    """Return the numbers that are not zero."""
    pairs = zip(COUNT_NAMES, counts.values(), strict=True)
    return {name: number for name, number in pairs if number}


def _reportable(finding: Finding, test: str) -> Reportable:
    parent = finding.owner.parent
    return outlets.reportable.Reportable.from_finding(
        outlets.plain.plain_finding(FindingEntry(finding, 1, 0.0, 0.0)),
        test=test or (parent.name if parent is not None else ""),
    )


def _holders(owner: StandIn, longest_ns: int) -> Sequence[Holder]:
    session = None
    for each in owner.used_sessions():
        if each.held_ns > longest_ns:
            longest_ns, session = each.held_ns, each
    if session is None:
        return ()
    with redacting(owner.recorder.redact):
        return [(longest_ns / 1e9, f"{owner.name}: session opened{at(session.opened_at)}")]
