"""One stay of a connection outside its pool."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from sessionwatch.records.counts import Counts
from sessionwatch.records.mark import LONG_LIVED

if TYPE_CHECKING:
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.pool import PoolRecord
    from sessionwatch.records.session import SessionRecord
    from sessionwatch.records.stack import Stack
    from sessionwatch.records.transaction import TransactionRecord


class ConnectionHold:
    """A connection from its checkout to its return; the times are in nanoseconds."""

    __slots__ = (
        "borrowers",
        "busy_ns",
        "changes_before",
        "checked_out_at",
        "checked_out_ns",
        "counted",
        "last_used_ns",
        "owner",
        "pool",
        "proxy",
        "reclaimed",
        "reported",
        "returned_ns",
        "running_in",
        "running_since_ns",
        "session",
        "statements",
        "taken_in",
        "terminated",
        "unsure_write",
        "writes",
    )

    counted: Counts | None
    """What the totals hold of a connection that is out but not followed; unset for all others."""

    def __init__(
        self,
        owner: Owner,
        pool: PoolRecord,
        proxy: weakref.ref[Any],
        checked_out_ns: int,
        checked_out_at: Stack | None,
        taken_in: Any = None,
    ) -> None:
        self.owner = owner
        self.pool = pool
        self.proxy = proxy
        self.checked_out_ns = self.last_used_ns = checked_out_ns
        self.checked_out_at = checked_out_at
        self.session: SessionRecord | None = None
        self.borrowers: list[SessionRecord] | None = None
        self.reported: Any = None
        self.returned_ns = 0
        self.reclaimed = self.terminated = False
        self.taken_in = taken_in
        self.running_in: Any = None
        self.changes_before: int | None = None
        self.unsure_write: tuple[SessionRecord, TransactionRecord] | None = None
        self.busy_ns = 0
        self.running_since_ns = 0
        self.statements = self.writes = 0

    @property
    def opened_at(self) -> Stack | None:
        """Where the holder was opened: the session, or the connection where there is none."""
        return self.session.opened_at if self.session is not None else self.checked_out_at

    def user(self) -> SessionRecord | None:
        """Return the session that works on it: its own, or the newest that it is lent to."""
        if self.borrowers:
            return self.borrowers[-1]
        return self.session

    @property
    def description(self) -> str:
        """The connection in words that the place it was opened at may follow."""
        if self.session is not None:
            return "the connection of the session opened"
        return "the connection checked out"

    @property
    def is_deliberate(self) -> bool:
        """Whether somebody said that the session is to stay open for long."""
        session = self.session
        return session is not None and session.mark == LONG_LIVED

    def idle_since_use_ns(self, now_ns: int) -> int:
        """Return the time since the last statement ended, or the checkout; 0 while one runs."""
        if self.running_since_ns or self.returned_ns:
            return 0
        return now_ns - self.last_used_ns

    def held_ns(self, now_ns: int) -> int:
        """Return how long the connection has been out, or was."""
        return (self.returned_ns or now_ns) - self.checked_out_ns

    def idle_ns(self, now_ns: int) -> int:
        """Return how much of that time no statement was running."""
        running_ns = now_ns - self.running_since_ns if self.running_since_ns else 0
        return max(0, self.held_ns(now_ns) - self.busy_ns - running_ns)

    def give_back(self, now_ns: int, reclaimed: bool) -> None:
        """Note the return, by its user or (`reclaimed`) by the garbage collector.

        Takes no lock, as the garbage collector calls this wherever it happens to run.
        """
        self.returned_ns = now_ns
        self.reclaimed = reclaimed
        self.running_since_ns = 0
        held_ns = now_ns - self.checked_out_ns
        self.pool.returned(self)
        session = self.session
        if session is None:
            self.owner.recorder.hold_returned(self)
        else:
            session.checkins += 1
            session.held_ns += held_ns
            if held_ns > self.busy_ns:
                session.idle_ns += held_ns - self.busy_ns
            if self.terminated:
                session.terminated += 1
            if reclaimed:
                session.reclaimed += 1
            else:
                session.gave_back(self)

    def add_to(self, counts: Counts, now_ns: int) -> None:
        """Add the numbers of a hold that belongs to no session to `counts`."""
        counts.statements += self.statements
        counts.writes += self.writes
        counts.checkouts += 1
        counts.checkins += self.returned_ns > 0
        counts.held_ns += self.held_ns(now_ns)
        counts.idle_ns += self.idle_ns(now_ns)
