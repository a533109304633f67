"""What is counted, per session, per owner, per route and in total."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter


@dataclass(slots=True)
class Counts:
    """Totals over some sessions; the times are in nanoseconds."""

    opened: int = 0
    closed: int = 0
    """Sessions whose last state is closed, by `close`, `reset` or `invalidate`."""
    collected: int = 0
    """Sessions that nobody closed and that the garbage collector took."""
    committed: int = 0
    """Root commits; the release of a savepoint is counted apart."""
    savepoints_released: int = 0
    rolled_back: int = 0
    """Root transactions that somebody rolled back explicitly."""
    discarded: int = 0
    """Root transactions with writes that ended with neither commit nor explicit rollback."""
    flushes: int = 0
    statements: int = 0
    """Calls that executed something; an INSERT that SQLAlchemy sends in batches is one."""
    writes: int = 0
    """Those of them that changed rows."""
    checkouts: int = 0
    checkins: int = 0
    held_ns: int = 0
    idle_ns: int = 0
    """The part of `held_ns` in which no statement was running."""

    @property
    def open(self) -> int:
        """Sessions that are neither closed nor collected."""
        return self.opened - self.closed - self.collected

    def add(self, other: Counts) -> None:
        """Add every number of `other` to this one's."""
        for name in COUNT_NAMES:
            value = getattr(other, name)
            if value:
                setattr(self, name, getattr(self, name) + value)

    def values(self) -> tuple[int, ...]:
        """Return every number, in the order of `COUNT_NAMES`."""
        values: tuple[int, ...] = _values_of(self)
        return values

    def subtract(self, other: Counts) -> None:
        """Take every number of `other` from this one's."""
        for name in COUNT_NAMES:
            value = getattr(other, name)
            if value:
                setattr(self, name, getattr(self, name) - value)


COUNT_NAMES = tuple(field.name for field in fields(Counts))
_values_of = attrgetter(*COUNT_NAMES)
