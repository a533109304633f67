"""The numbers of one route, and of all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from sessionwatch.records.counts import COUNT_NAMES, Counts
from sessionwatch.records.held_times import HeldTimes

_NANOSECONDS = 1e9
_QUANTILES = {"held_p50_seconds": 0.5, "held_p99_seconds": 0.99}


@dataclass(slots=True)
class RouteTotals:
    """The numbers of one route, job or the process."""

    owners: int = 0
    counts: Counts = field(default_factory=Counts)
    leaked: int = 0
    """Sessions that were reported as leaked (SW101), also those that came back later."""
    held: HeldTimes = field(default_factory=HeldTimes)
    """How long each session that is closed held connections."""

    @classmethod
    def sum(cls, routes: Iterable[RouteTotals]) -> Self:
        """Return the numbers of all of them together."""
        totals = cls()
        for route in routes:
            totals.add(route)
        return totals

    def add(self, other: RouteTotals) -> None:
        """Add every number of `other` to this one's."""
        self.owners += other.owners
        self.leaked += other.leaked
        self.counts.add(other.counts)
        self.held.add(other.held)

    def copy(self) -> RouteTotals:
        """Return the same numbers, which what is counted later leaves alone."""
        counts = Counts(*self.counts.values())
        return RouteTotals(self.owners, counts, self.leaked, self.held.copy())

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under their names, the times in seconds."""
        numbers: dict[str, Any] = {
            "owners": self.owners,
            "open": self.counts.open,
            "leaked": self.leaked,
        }
        for name in COUNT_NAMES:
            value = getattr(self.counts, name)
            if name.endswith("_ns"):
                numbers[name.removesuffix("_ns") + "_seconds"] = value / _NANOSECONDS
            else:
                numbers[name] = value
        for name, share in _QUANTILES.items():
            held_ns = self.held.quantile(share)
            numbers[name] = None if held_ns is None else held_ns / _NANOSECONDS
        numbers["held_histogram"] = {str(step): times for step, times in self.held.steps().items()}
        return numbers

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> Self:
        """Return what `to_dict` was made of."""
        counts = Counts()
        for name in COUNT_NAMES:
            if name.endswith("_ns"):
                seconds = numbers[name.removesuffix("_ns") + "_seconds"]
                setattr(counts, name, round(seconds * _NANOSECONDS))
            else:
                setattr(counts, name, numbers[name])
        steps = {int(step): times for step, times in numbers["held_histogram"].items()}
        return cls(numbers["owners"], counts, numbers["leaked"], HeldTimes(steps))
