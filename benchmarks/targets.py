"""What sessionwatch promises to cost at most, and whether it was measured to."""

import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants import AGAIN, COUNTS, DEFAULT, DISABLED
from benchmarks.results import spread
from benchmarks.turns import ASGI

_FLAT_BYTES = 1 << 20
"""What the process may grow by over the last 900,000 of a million sessions: allocators' noise."""


@dataclass(frozen=True)
class Target:
    """A limit, and what was measured; None for what this run did not measure."""

    text: str
    limit: float
    measured: float | None
    unit: str
    spread: tuple[float, float] | None = None
    fastest: float | None = None
    """The same of the fastest turns alone."""

    noise: float = 0.0
    """By how much a second bare differs from the first, in the same unit."""

    @property
    def verdict(self) -> str:
        """Whether the limit is kept, if that can be told."""
        if self.measured is None:
            return "not measured"
        if abs(self.measured - self.limit) < self.noise:
            return "within the noise"
        return "met" if self.measured <= self.limit else "not met"


def check(results: dict[str, Any]) -> list[Target]:
    """Return every target with what the results say of it."""
    return [
        _ratio(results, DEFAULT, "select", 1.10),
        _ratio(results, DEFAULT, "threads", 1.05),
        _ratio(results, COUNTS, "select", 1.05),
        _ratio(results, COUNTS, "threads", 1.05),
        _ratio(results, DISABLED, "select", 1.005),
        _paired(results["disabled_in_one_process"]),
        *_memory(results["memory"]),
    ]


def _ratio(results: dict[str, Any], contestant: str, workload: str, limit: float) -> Target:
    text = f"{contestant}, {workload}, in process"
    measured = results["drives"].get(ASGI, {})
    found = measured.get(contestant, {}).get(workload)
    if found is None:
        return Target(text, limit, None, "x bare")
    around = (found["lower_quartile"], found["upper_quartile"])
    again = measured.get(AGAIN, {}).get(workload)
    noise = 0.0 if again is None else abs(again["ratio"] - 1)
    return Target(text, limit, found["ratio"], "x bare", around, found["ratio_of_fastest"], noise)


def _paired(ratios: list[float]) -> Target:
    measured = statistics.median(ratios) if ratios else None
    around = (min(ratios), max(ratios)) if ratios else None
    return Target("disabled, beside bare in one process", 1.005, measured, "x bare", around)


def _memory(memory: dict[str, Any] | None) -> list[Target]:
    if memory is None:
        return []
    sessions = f"{memory['amounts']['sessions']:,} open sessions"
    snapshot, million = memory["snapshot"], memory["million"]
    opened = memory["opened"].get(DEFAULT)
    working = memory["in_transaction"].get(DEFAULT)
    grown = None if not million else (million[-1] - million[1])
    return [
        Target("open session, default", 1.5, _scaled(opened, 1024), "KiB"),
        Target("open session in a transaction, default", 1.5, _scaled(working, 1024), "KiB"),
        Target("growth over a million sessions", _FLAT_BYTES / 1024, _scaled(grown, 1024), "KiB"),
        Target(f"snapshot of {sessions}", 25, snapshot["median"] * 1e3, "ms"),
        Target("hot path held up by a snapshot's lock", 1, snapshot["lock_waited"] * 1e3, "ms"),
        _import(memory["import_seconds"]),
    ]


def _import(seconds: list[float]) -> Target:
    lower, median, upper = (each * 1e3 for each in spread(seconds))
    fastest = min(seconds) * 1e3
    return Target("import sessionwatch", 10, median, "ms", (lower, upper), fastest)


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value / by
