"""What was seen of one session."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from sessionwatch.records.counts import Counts
from sessionwatch.records.mark import AUDIT
from sessionwatch.records.transaction import (
    COMMITTED,
    MOST_DRAWN,
    OPEN,
    Joining,
    Outcome,
    TransactionRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.pool import PoolRecord
    from sessionwatch.records.stack import Stack


def cut(statement: str, length: int) -> str:
    """Return the beginning of a statement, with a sign where the rest was left out."""
    return statement if len(statement) <= length else statement[:length] + "…"


class SessionRecord:
    """One session, from the call of its constructor on; the times are in nanoseconds."""

    __slots__ = (
        "checkins",
        "checkouts",
        "closed_by_another",
        "closed_ns",
        "collected",
        "committed",
        "counted",
        "discarded",
        "flushes",
        "folded",
        "guest",
        "handed_on",
        "held_ns",
        "holds",
        "idle_ns",
        "last_ended",
        "last_used_ns",
        "late",
        "late_use_seen",
        "lent",
        "mark",
        "opened_at",
        "opened_in",
        "opened_ns",
        "overlap_seen",
        "owner",
        "past_holds",
        "quiet",
        "reclaimed",
        "reference",
        "reopened",
        "reported",
        "rolled_back",
        "savepoints_released",
        "scoped",
        "sharing_seen",
        "statement",
        "statements",
        "task",
        "terminated",
        "transaction",
        "transactions",
        "writes",
    )

    counted: Counts | None
    """What the totals hold of a session that is open but not followed; unset for all others."""

    def __init__(
        self, owner: Owner, opened_ns: int, opened_at: Stack, scoped: bool, opened_in: int
    ) -> None:
        self.owner = owner
        self.opened_ns = self.last_used_ns = opened_ns
        self.opened_at = opened_at
        self.scoped = scoped
        self.closed_ns = 0
        self.collected = False
        self.folded = False
        self.reclaimed = self.terminated = 0
        self.reopened = False
        self.late = False
        self.mark: str | None = None
        self.opened_in = opened_in
        self.closed_by_another = self.late_use_seen = self.overlap_seen = self.handed_on = False
        self.guest: Owner | None = None
        self.sharing_seen: Owner | None = None
        self.reference: weakref.ref[Any] | None = None
        self.reported: Any = None
        self.task: weakref.ref[Any] | None = None
        self.statement: str | None = None
        self.last_ended: TransactionRecord | None = None
        self.transaction: TransactionRecord | None = None
        self.transactions: list[TransactionRecord] | None = None
        self.holds: list[ConnectionHold] | None = None
        self.lent: list[ConnectionHold] | None = None
        self.past_holds: list[tuple[PoolRecord, int, int]] | None = None
        self.quiet: list[TransactionRecord] | None = None
        self.committed = self.savepoints_released = self.rolled_back = self.discarded = 0
        self.flushes = self.statements = self.writes = 0
        self.checkouts = self.checkins = self.held_ns = self.idle_ns = 0

    def is_gone(self) -> bool:
        """Whether the garbage collector has taken the session; remembers that it has."""
        if not self.collected and self.reference is not None and self.reference() is None:
            self.collected = True
        return self.collected

    @property
    def settled(self) -> bool:
        """Whether the session is closed or gone."""
        return self.closed_ns > 0 or self.collected

    @property
    def awaits_return(self) -> bool:
        """Whether a connection has not come back, as when the garbage collector is at it."""
        return self.checkins < self.checkouts

    @property
    def is_audit(self) -> bool:
        """Whether its commits are meant to survive whatever becomes of the owner's work."""
        return self.mark == AUDIT

    @property
    def nothing_lost(self) -> bool:
        """Whether the session is closed, and all that it wrote is committed."""
        return (
            self.closed_ns > 0
            and not self.reclaimed
            and all(each.outcome is COMMITTED for each in self.transactions or ())
        )

    @property
    def writes_uncommitted(self) -> int:
        """How many writes the last transaction held when it ended, or holds, uncommitted."""
        transaction = self.transaction or self.last_ended
        if transaction is None or transaction.outcome is COMMITTED:
            return 0
        return transaction.writes if transaction.at_stake else 0

    @property
    def state(self) -> str:
        """One word: open, in transaction, closed or collected."""
        if self.collected:
            return "collected"
        if self.closed_ns:
            return "closed"
        return "in transaction" if self.transaction else "open"

    def connections_out(self) -> list[ConnectionHold]:
        """Return the connections that the session holds now."""
        return [hold for hold in self.holds or () if not hold.returned_ns]

    def written_transactions(self) -> list[TransactionRecord]:
        """Return the root transactions that wrote, the one that is open now among them."""
        written = list(self.transactions or ())
        current = self.transaction
        if current is not None and current.writes:
            written.append(current)
        return written

    def end_transaction(self, now_ns: int, given_up: Callable[[], bool] | None = None) -> None:
        """Settle the root transaction: what nobody committed or rolled back is discarded.

        `given_up` tells whether that happens because of an error; it is asked if work is lost.
        """
        transaction = self.transaction
        if transaction is None:
            return
        self.transaction = None
        if self.last_ended is not None:
            self._keep_quiet(self.last_ended)
        self.last_ended = transaction
        if self.lent:
            for hold in self.lent:
                if hold.borrowers:
                    hold.borrowers.remove(self)
            self.lent = None
        has_written = transaction.writes or transaction.orphaned_writes
        if transaction.outcome is OPEN:
            transaction.outcome = Outcome.DISCARDED
            transaction.ended_ns = now_ns
            if has_written:
                transaction.given_up = given_up is not None and given_up()
                self.discarded += transaction.loses_writes
        if has_written or transaction.error:
            self.keep(transaction)

    def end_collected(self, now_ns: int) -> None:
        """Settle what the garbage collector took, as of when it gave the connection back."""
        returned_ns = max((hold.returned_ns for hold in self.holds or ()), default=0)
        self.end_transaction(returned_ns or now_ns)

    def took_along(self, transaction: TransactionRecord) -> bool:
        """Whether the garbage collector took the transaction with the session, unclosed."""
        return self.collected and not self.closed_ns and transaction is self.last_ended

    def rolled_back_explicitly(self) -> None:
        """Count a rollback, and take back that the transaction was discarded."""
        transaction = self.last_ended
        if transaction is None or transaction.joined is not Joining.SAVEPOINT:
            self.rolled_back += 1
        if transaction is not None and transaction.outcome is Outcome.DISCARDED:
            transaction.outcome = Outcome.ROLLED_BACK
            self.discarded -= transaction.loses_writes

    def keep(self, transaction: TransactionRecord) -> None:
        """Keep a transaction for the rules, and drop the oldest when there are too many."""
        if self.transactions is None:
            self.transactions = []
        self.transactions.append(transaction)
        recorder = self.owner.recorder
        if len(self.transactions) > recorder.most_transactions:
            del self.transactions[0]
            recorder.dropped("transactions")

    def _keep_quiet(self, transaction: TransactionRecord) -> None:
        """Keep a transaction that no rule asks for, so that it can be drawn."""
        if transaction not in (self.transactions or ()):
            self.quiet = [*(self.quiet or ())[-MOST_DRAWN + 1 :], transaction]

    def gave_back(self, hold: ConnectionHold) -> None:
        """Let go of a connection that came back, but for the time that it was out."""
        holds = self.holds
        if holds and hold in holds:
            holds.remove(hold)
            past = (hold.pool, hold.checked_out_ns, hold.returned_ns)
            if self.past_holds is None:
                self.past_holds = [past]
                return
            self.past_holds.append(past)
            if len(self.past_holds) > MOST_DRAWN:
                del self.past_holds[0]

    @property
    def _taken_with_writes(self) -> bool:
        """Whether the garbage collector took a transaction with writes that is not settled yet."""
        transaction = self.transaction
        return self.collected and transaction is not None and transaction.at_stake

    def counts(self, now_ns: int) -> Counts:
        """Return this session's numbers, with the connections that it still holds until now."""
        counts = Counts()
        self.add_to(counts, now_ns)
        return counts

    def add_to(self, counts: Counts, now_ns: int) -> None:
        """Add this session's numbers to `counts`."""
        counts.opened += 1
        if self.closed_ns:
            counts.closed += 1
        elif self.collected:
            counts.collected += 1
            counts.discarded += self._taken_with_writes
        counts.statements += self.statements
        counts.checkouts += self.checkouts
        counts.checkins += self.checkins
        counts.held_ns += self.held_ns
        counts.idle_ns += self.idle_ns
        if self.committed:
            counts.committed += self.committed
        if self.flushes:
            counts.flushes += self.flushes
        if self.writes:
            counts.writes += self.writes
        if self.discarded:
            counts.discarded += self.discarded
        if self.rolled_back:
            counts.rolled_back += self.rolled_back
        if self.savepoints_released:
            counts.savepoints_released += self.savepoints_released
        for hold in self.holds or ():
            if not hold.returned_ns:
                counts.held_ns += hold.held_ns(now_ns)
                counts.idle_ns += hold.idle_ns(now_ns)
