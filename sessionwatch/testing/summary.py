"""What is said at the end of a test run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sessionwatch import outlets
from sessionwatch.testing.verdict import Holder, Verdict

if TYPE_CHECKING:
    from sessionwatch.outlets.reportable import Reportable

_MOST_TESTS = 5
_MOST_HOLDERS = 3


class Summary:
    """All verdicts of a run, from whichever process they came."""

    def __init__(self) -> None:
        self.findings: list[Reportable] = []
        """Those that the baseline does not know, each once with how often it was seen."""
        self.known: dict[str, Reportable] = {}
        """All, by fingerprint."""
        self.tolerated: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.holders: list[Holder] = []
        """Who held connections longest; the longest comes first."""
        self.longest_ns = 0
        """How long somebody must hold one to be told of among them."""
        self.unused_allows: dict[str, Sequence[str]] = {}
        """Codes by the test whose mark allows them."""
        self.tests: set[str] = set()
        """The tests that ran to their end."""
        self.fails_run = False
        """Whether something was found that fails the run and no test."""

    def add(self, verdict: Verdict, test: str) -> None:
        """Take a verdict; `test` is empty for a fixture of many tests, or none at all."""
        if verdict.counts:
            self.counts.update(verdict.counts)
        if verdict.holders:
            self._hold([*self.holders, *verdict.holders])
        self.tolerated.update(verdict.tolerated)
        if verdict.unused_allows:
            self.unused_allows[test] = verdict.unused_allows
        for plain in verdict.findings:
            finding = outlets.reportable.Reportable.from_dict(plain)
            self.known.setdefault(plain["fingerprint"], finding)
            if plain["fingerprint"] not in verdict.tolerated:
                self.findings.append(finding)
                self.fails_run |= not test and finding.severity == "error"

    def _hold(self, holders: list[Holder]) -> None:
        self.holders = sorted(holders, reverse=True)[:_MOST_HOLDERS]
        if len(self.holders) == _MOST_HOLDERS:
            self.longest_ns = round(self.holders[-1][0] * 1e9)

    def all_known(self) -> list[Reportable]:
        """Return each finding once, those that the baseline knows among them."""
        return list(self.known.values())


def lines(summary: Summary, *, stacks: bool) -> Iterator[str]:
    """Yield the summary line by line: findings by code and place, numbers, slowest holders."""
    groups: dict[tuple[str, str], list[Reportable]] = {}
    if summary.findings:
        for finding in outlets.reportable.worst_first(summary.findings):
            groups.setdefault((finding.code, finding.place), []).append(finding)
    for findings in groups.values():
        yield from _group(findings, stacks)
    yield _numbers(summary.counts)
    for seconds, whose in summary.holders:
        yield f"held {seconds:.3f} s by {whose}"
    for test, codes in sorted(summary.unused_allows.items()):
        yield f"allowed and not found: {', '.join(codes)} in {test}; take it out of the mark"


def _group(findings: list[Reportable], stacks: bool) -> Iterator[str]:
    first = findings[0]
    where = f" at {first.place} in {first.function}" if first.place else ""
    yield f"{first.code} {first.name} ({first.severity}){where}"
    whose = list(dict.fromkeys(each.test or each.owner for each in findings))
    for name in whose[:_MOST_TESTS]:
        yield f"    {name}"
    if len(whose) > _MOST_TESTS:
        yield f"    and {len(whose) - _MOST_TESTS} more"
    if stacks:
        yield f"    {first.message}"
        for frame in first.stack:
            yield f"      {frame}"
        yield f"    fix: {first.fix}"


def _numbers(counts: Counter[str]) -> str:
    names = ("opened", "closed", "collected", "committed", "rolled_back", "discarded")
    told = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names)
    return f"sessions: {told}; connections: {counts['checkouts']} out, {counts['checkins']} back"
