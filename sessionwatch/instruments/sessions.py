"""What happens to sessions: opened, begun, flushed, committed, rolled back, closed, collected."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, SessionTransaction

from sessionwatch.instruments.attribution import (
    current_owner,
    guarded,
    listener,
    owner_now,
    running_task,
)
from sessionwatch.instruments.binds import binds_by_mapper
from sessionwatch.instruments.handling import error_is_handled
from sessionwatch.instruments.holds import end_unnoticed, hold_of
from sessionwatch.instruments.misuse import (
    began_in_background,
    overlapping,
    refused,
    reopened,
)
from sessionwatch.instruments.patches import Patch
from sessionwatch.instruments.returning import settle_unsure_write
from sessionwatch.instruments.session_record import (
    INFO,
    WatchedSession,
    read_mark,
    record_of,
)
from sessionwatch.instruments.stacks import ending_at
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.stand_in import StandIn
from sessionwatch.records.transaction import (
    COMMITTED,
    NOT_JOINED,
    Joining,
    TransactionRecord,
)


@guarded
def session_opened(session: WatchedSession) -> None:
    """Begin a record; called when `Session.__init__` has returned."""
    owner = owner_now()
    if owner is None or session._sessionwatch is not None:
        return
    recorder = owner.recorder
    if recorder.only is not None and not recorder.only.session(session):
        return
    stack, scoped = recorder.capture(sys._getframe(3))
    record = SessionRecord(owner, recorder.clock(), stack, scoped, get_ident())
    task = running_task()
    if task is not None and task is not owner.task:
        record.task = weakref.ref(task)
    if INFO in session.__dict__:
        read_mark(record, session)
    session._sessionwatch = record
    if owner is recorder.process_owner:
        notify_when_collected(record, session)
        owner.sessions[record] = None
        recorder.tidy()
        if len(owner.sessions) > recorder.many_sessions:
            recorder.crowded(owner)
        return
    record.reference = weakref.ref(session)
    if owner.judged:
        recorder.session_opened_late(record)
    else:
        owner.sessions[record] = None
        if len(owner.sessions) > recorder.many_sessions:
            recorder.crowded(owner)


class _Notice(weakref.ref[Session]):
    """A weak reference that knows the record of the session that it refers to."""

    __slots__ = ("record",)

    record: SessionRecord


def notify_when_collected(record: SessionRecord, session: Session) -> None:
    """Have the recorder told when a session is gone whose owner will not ask.

    The notice and the record refer to each other until then.
    """
    notice = _Notice(session, _collected)
    notice.record = record
    record.reference = notice


@guarded
def _collected(notice: weakref.ref[Session]) -> None:
    """Note that a session is gone; runs in the garbage collector, so it takes no lock."""
    if isinstance(notice, _Notice):
        record = notice.record
        record.reference = None
        record.collected = True
        record.owner.recorder.session_collected(record)


@guarded
def session_closing(session: WatchedSession) -> None:
    """Mark the session closed; called before `close`, `reset` or `invalidate` does its work."""
    record = session._sessionwatch
    if record is not None and not record.closed_ns:
        owner = record.owner
        if INFO in session.__dict__:
            read_mark(record, session)
        if record.holds:
            _settle_holds(record)
        record.closed_by_another = current_owner.get() is not owner
        record.closed_ns = owner.recorder.clock()


def _settle_holds(record: SessionRecord) -> None:
    """Look at a session's connections before its work on them ends."""
    for hold in record.holds or ():
        if hold.running_since_ns:
            overlapping(hold, record)
        if hold.unsure_write is not None:
            settle_unsure_write(hold)


@guarded
def closing_failed(session: WatchedSession) -> None:
    """Take the mark back from a session that refused to be closed."""
    record = session._sessionwatch
    if record is not None and record.transaction is not None:
        record.closed_ns = 0


@guarded
def session_closed(record: SessionRecord) -> None:
    """Settle a session that outlived its owner, or one of very many."""
    record.owner.recorder.session_settled(record)


@listener
def transaction_created(session: WatchedSession, transaction: SessionTransaction) -> None:
    """Begin a root transaction or a savepoint; a flush's subtransaction is neither."""
    record = session._sessionwatch
    if record is None:
        return
    if transaction.nested:
        if record.transaction is not None:
            record.transaction.begin_savepoint()
    elif transaction.parent is None:
        owner = record.owner
        if record.closed_ns:
            reopened(record)
            owner.recorder.session_reopened(record)
            record.closed_ns = 0
            record.reopened = True
        begun = record.transaction = TransactionRecord(owner.recorder.clock())
        if owner.response_completed_ns:
            began_in_background(record)
        if isinstance(session.bind, Connection):
            begun.joined = _joining(session, session.bind)


def _was_given(session: WatchedSession, connection: Connection) -> bool:
    """Whether the session was bound to this Connection, rather than to the engine of it."""
    return connection in (session.bind, *binds_by_mapper(session).values())


def _joining(session: WatchedSession, connection: Connection) -> Joining:
    """Return what the session's mode makes of the transaction that its Connection is in."""
    mode = session.join_transaction_mode
    if not connection.in_transaction():
        return Joining.NOT
    if mode == "create_savepoint" or connection.in_nested_transaction():
        return Joining.SAVEPOINT
    return Joining.NOT if mode == "control_fully" else Joining.ROLLBACK_ONLY


@listener
def transaction_began(
    session: WatchedSession, transaction: SessionTransaction, connection: Connection
) -> None:
    """Tie the connection to the session that checked it out.

    A connection that was checked out by somebody else is lent to the session, which closes without
    returning it; inside a savepoint the session does not decide what becomes of its work.
    """
    record = session._sessionwatch
    hold = hold_of(connection)
    if record is None or hold is None or hold.session is record:
        return
    if hold.session is None and (
        hold.checked_out_at is None or not _was_given(session, connection)
    ):
        hold.session = record
        hold.owner.holds.pop(hold, None)
        record.checkouts += 1
        if record.holds is None:
            record.holds = [hold]
        else:
            record.holds.append(hold)
        return
    if record.lent is None:
        record.lent = []
    if hold not in record.lent:
        record.lent.append(hold)
        hold.borrowers = [*(hold.borrowers or ()), record]
    joined = record.transaction
    if joined and joined.joined is NOT_JOINED and connection.in_nested_transaction():
        joined.joined = Joining.SAVEPOINT


@listener
def commit_attempted(session: WatchedSession) -> None:
    """Note that the root transaction is about to be committed."""
    record = session._sessionwatch
    if record is not None and record.transaction and not session.in_nested_transaction():
        record.transaction.commit_attempted_ns = record.owner.recorder.clock()
        if record.holds:
            _settle_holds(record)


@listener
def committed(session: WatchedSession) -> None:
    """Count a root commit, or the release of a savepoint, for which the same event fires."""
    record = session._sessionwatch
    if record is None or record.transaction is None:
        return
    transaction = record.transaction
    if session.in_nested_transaction():
        transaction.release_savepoint()
        record.savepoints_released += 1
        return
    recorder = record.owner.recorder
    transaction.outcome = COMMITTED
    transaction.ended_ns = recorder.clock()
    if transaction.joined is NOT_JOINED:
        record.committed += 1
    elif transaction.joined is Joining.SAVEPOINT:
        record.savepoints_released += 1
    if transaction.writes and not isinstance(record.owner, StandIn):
        ending = ending_at(sys._getframe(2))
        transaction.ended_by, transaction.dependency_exit, transaction.served = ending


@listener
def rolled_back(session: WatchedSession) -> None:
    """Note that the database has rolled back, on request or after a failed flush."""
    record = session._sessionwatch
    if record is not None and record.transaction:
        if session.in_nested_transaction():
            record.transaction.roll_back_savepoint()
        else:
            record.transaction.rollback_seen = True


@listener
def transaction_ended(session: WatchedSession, transaction: SessionTransaction) -> None:
    """End a root transaction or a savepoint, whatever became of it."""
    record = session._sessionwatch
    if record is None:
        return
    if transaction.nested:
        if record.transaction is not None:
            record.transaction.end_savepoint()
    elif transaction.parent is None:
        record.end_transaction(record.owner.recorder.clock(), error_is_handled)
        if record.holds:
            end_unnoticed(record.holds)


@listener
def explicitly_rolled_back(session: WatchedSession, previous: SessionTransaction) -> None:
    """Count an explicit rollback of a root transaction.

    SQLAlchemy sends `after_soft_rollback` with the root only for `rollback()` itself, and after
    the root's end; a failed flush sends it with its subtransaction (orm/session.py, 2.0 and 2.1).
    """
    record = session._sessionwatch
    if record is not None and previous.parent is None:
        record.rolled_back_explicitly()


@listener
def flushed(session: WatchedSession, context: Any) -> None:
    """Count a flush that had something to write."""
    record = session._sessionwatch
    if record is not None:
        record.flushes += 1
        if record.transaction is not None:
            record.transaction.flushed(record.owner.recorder.clock())


def _wrap_constructor(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def construct(self: Session, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        session_opened(self)

    return construct


def _wrap_closing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def close(self: WatchedSession) -> Any:
        session_closing(self)
        try:
            result = original(self)
        except BaseException as error:
            refused(record_of(self), error)
            closing_failed(self)
            raise
        record = self._sessionwatch
        if record is not None and (record.owner.ended_ns or record.owner.crowded):
            session_closed(record)
        return result

    return close


PATCHES = (
    Patch(Session, "__init__", _wrap_constructor),
    Patch(Session, "close", _wrap_closing),
    Patch(Session, "reset", _wrap_closing),
    Patch(Session, "invalidate", _wrap_closing),
)
LISTENERS = (
    (Session, "after_transaction_create", transaction_created),
    (Session, "after_begin", transaction_began),
    (Session, "before_commit", commit_attempted),
    (Session, "after_commit", committed),
    (Session, "after_rollback", rolled_back),
    (Session, "after_transaction_end", transaction_ended),
    (Session, "after_soft_rollback", explicitly_rolled_back),
    (Session, "after_flush", flushed),
)
