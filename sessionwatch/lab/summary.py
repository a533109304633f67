"""One variant over all its scenarios: the table's numbers, the verdict and the worst finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .measure import CellResult
from .scenarios import SCENARIOS_BY_KEY

_SEVERITIES = ("error", "warning", "info")
_NAMED_SCENARIOS = 2
_EVIDENCE = ("proof", "lost work", "suspect")


@dataclass(frozen=True, slots=True)
class Columns:
    """The table's row; the first eight are sums over the one-request scenarios, None without."""

    opened: int | None
    closed: int | None
    committed: int | None
    rolled_back: int | None
    leaked: int | None
    """Sessions that held a connection until the garbage collector ran."""
    partial_commits: int | None
    lost_writes: int | None
    """Requests that were told success and whose order nobody committed."""
    acknowledged_but_lost: int | None
    """Requests that were told success before a commit that failed."""
    refused: int | None
    """Requests of the burst, failing and good, that were not served; None without a burst."""


def columns_of(cells: list[CellResult]) -> Columns:
    """Add up one variant's cells, one result for each scenario."""
    single = [cell for cell in cells if cell.burst is None]
    bursts = [cell.burst for cell in cells if cell.burst is not None]
    refused = sum(burst.refused for burst in bursts) if bursts else None
    if not single:
        return Columns(None, None, None, None, None, None, None, None, refused)
    recorded = [cell.recorded for cell in single]
    return Columns(
        opened=sum(each.opened for each in recorded),
        closed=sum(each.closed for each in recorded),
        committed=sum(each.committed for each in recorded),
        rolled_back=sum(each.rolled_back for each in recorded),
        leaked=sum(cell.proven.out_right_after for cell in single),
        partial_commits=sum("half-done" in cell.problems for cell in single),
        lost_writes=sum("lost" in cell.problems for cell in single),
        acknowledged_but_lost=sum("acknowledged-lost" in cell.problems for cell in single),
        refused=refused,
    )


def verdict_of(cells: list[CellResult]) -> str:
    """Say in words what one variant did wrong over all its scenarios."""
    own = [cell for cell in cells if not _is_handlers_doing(cell.scenario)]
    parts = [
        _part(cells, "pinned", "holds a connection beyond the collector in {}"),
        _part(cells, "leak", "leaks in {}"),
        _part(cells, "acknowledged-lost", "says 200 before a commit that fails"),
        _part(cells, "lost", "loses accepted work in {}"),
        _part(own, "half-done", "saves half of the work in {}"),
        _part(own, "kept", "answers an error and keeps the work in {}"),
        _part(cells, "refused", "refuses requests in a burst"),
    ]
    said = [part for part in parts if part]
    disputed = [cell.scenario for cell in cells if cell.disagreements]
    if disputed:
        said.append(f"the two testimonies disagree in {' and '.join(disputed)}: see below")
    if said:
        return ", ".join(said)
    return _HANDLERS_DOING if any("half-done" in cell.problems for cell in cells) else "sound"


_HANDLERS_DOING = "sound, but for what the handler itself leaves half-done"


def _part(cells: list[CellResult], problem: str, words: str) -> str:
    seen = [cell.scenario for cell in cells if problem in cell.problems]
    if not seen:
        return ""
    few = len(seen) <= _NAMED_SCENARIOS
    return words.format(" and ".join(seen) if few else f"{len(seen)} of {len(cells)} scenarios")


def _is_handlers_doing(scenario: str) -> bool:
    return SCENARIOS_BY_KEY[scenario].handlers_doing


def _is_own(scenario: str) -> bool:
    """Whether what goes wrong there is the variant's own work."""
    known = SCENARIOS_BY_KEY[scenario]
    return not known.handlers_doing and not known.streams


def is_at_fault(cells: list[CellResult]) -> bool:
    """Whether anything went wrong that neither a handler's habit nor a late stream explains."""
    return any(cell.problems for cell in cells if _is_own(cell.scenario))


def worst_finding(cells: list[CellResult]) -> dict[str, Any] | None:
    """Return the gravest finding with the scenarios it was seen in, or None without any.

    What the variant does comes before what a handler or a late stream does, then severity, then
    the number of scenarios, then the class of evidence.
    """
    seen: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for cell in cells:
        for finding in cell.findings:
            seen.setdefault(_kind(finding), []).append((cell.scenario, finding))
    candidates = [max(each, key=_gravity) for each in seen.values()]
    if not candidates:
        return None

    def order(pair: tuple[str, dict[str, Any]]) -> tuple[Any, ...]:
        own, severity, evidence = _gravity(pair)
        return own, severity, len(seen[_kind(pair[1])]), evidence

    scenario, finding = max(candidates, key=order)
    others = list(dict.fromkeys(name for name, _ in seen[_kind(finding)]))
    return {**finding, "scenario": scenario, "scenarios": others}


def _kind(finding: dict[str, Any]) -> tuple[str, str]:
    return finding["code"], finding["severity"]


def _gravity(pair: tuple[str, dict[str, Any]]) -> tuple[bool, int, int]:
    scenario, finding = pair
    return (
        _is_own(scenario),
        -_SEVERITIES.index(finding["severity"]),
        -_EVIDENCE.index(finding["evidence"]),
    )
