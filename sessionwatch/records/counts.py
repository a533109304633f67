"""What is counted, per session, per owner, per route and in total."""

from __future__ import annotations

from operator import attrgetter


class Counts:
    """Totals over some sessions; the times are in nanoseconds."""

    opened: int
    closed: int
    """Sessions whose last state is closed, by `close`, `reset` or `invalidate`."""
    collected: int
    """Sessions that nobody closed and that the garbage collector took."""
    committed: int
    """Root commits; the release of a savepoint is counted apart."""
    savepoints_released: int
    rolled_back: int
    """Root transactions that somebody rolled back explicitly."""
    discarded: int
    """Root transactions with writes that ended with neither commit nor explicit rollback."""
    flushes: int
    statements: int
    """Calls that executed something; an INSERT that SQLAlchemy sends in batches is one."""
    writes: int
    """Those of them that changed rows."""
    checkouts: int
    checkins: int
    held_ns: int
    idle_ns: int
    """The part of `held_ns` in which no statement was running."""

    __slots__ = tuple(__annotations__)

    def __init__(self, **numbers: int) -> None:
        for name in COUNT_NAMES:
            setattr(self, name, 0)
        for name, number in numbers.items():
            setattr(self, name, number)

    def __eq__(self, other: object) -> bool:
        return self.values() == other.values() if isinstance(other, Counts) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

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

    def copy(self) -> Counts:
        """Return the same numbers, which what is counted later leaves alone."""
        counts = Counts()
        counts.add(self)
        return counts

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


COUNT_NAMES = Counts.__slots__
_values_of = attrgetter(*COUNT_NAMES)
