"""Sessions and connections used by the wrong one, or at the wrong time."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IllegalStateChangeError
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.orm.session import SessionTransactionState

from sessionwatch import records
from sessionwatch.instruments.attribution import current_owner, guarded, worker_now
from sessionwatch.instruments.patches import Patch
from sessionwatch.instruments.session_record import record_of
from sessionwatch.instruments.stacks import capture_application, walk
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.stack import Stack

_IN_FAILED_SQL_TRANSACTION = "25P02"
_ROLLED_BACK_BY_A_FLUSH = SessionTransactionState.DEACTIVE
_PROVISIONING = SessionTransactionState.PROVISIONING_CONNECTION
_PROVISIONING_CODE = inspect.unwrap(SessionTransaction._connection_for_bind).__code__


def used_by_another(session: SessionRecord, user: Owner | None) -> None:
    """Note that a session works for another than its owner."""
    owner = session.owner
    if user is None or not user.is_served:
        if owner.ended_ns and owner.is_served:
            used_late(session)
        return
    if owner.is_served and not session.handed_on:
        other: Owner | None = owner
    else:
        other, session.guest = session.guest, user
    if other is None or other is user or session.sharing_seen is user or session.lent:
        return
    session.sharing_seen = user
    user.recorder.incident(records.incident.Sharing(user, _application_stack(), session, other))


def used_late(session: SessionRecord) -> None:
    """Note that a session works when its owner is over; once for each session."""
    if not session.late_use_seen:
        session.late_use_seen = True
        owner = session.owner
        owner.recorder.incident(
            records.incident.UseAfterClose(owner, _application_stack(), session)
        )


def reopened(session: SessionRecord) -> None:
    """Note a use after the close, unless the owner goes on with a session of its own.

    A scoped session that its request has closed is the next one's that asks the registry for it.
    """
    owner = session.owner
    user = current_owner.get()
    if user is not None and user is not owner and user.is_served:
        session.handed_on = session.scoped
        session.guest = user if session.scoped else session.guest
        return
    if owner.is_served and not session.scoped and (owner.ended_ns or session.closed_by_another):
        used_late(session)


def began_in_background(session: SessionRecord) -> None:
    """Note a session that begins after the response, before the request's work is saved."""
    owner = session.owner
    if session.opened_ns < owner.response_completed_ns or owner.ended_ns:
        return
    for other in list(owner.sessions):
        transaction = other.transaction
        if (
            other is not session
            and transaction is not None
            and transaction.at_stake
            and 0 < transaction.first_write_ns < owner.response_completed_ns
            and not transaction.ended_ns
        ):
            owner.recorder.incident(
                records.incident.EarlyBackground(owner, _application_stack(), session, other)
            )
            return


def overlapping(hold: ConnectionHold, session: SessionRecord | None) -> None:
    """Note that a connection is used while a statement of another task or thread runs on it."""
    if session is not None and not hold.borrowers and hold.running_in != worker_now(session.owner):
        _note_overlap(session)


def in_use_elsewhere(session: SessionRecord) -> None:
    """Note a commit or close of a session whose statement still runs elsewhere."""
    for hold in session.holds or ():
        if hold.running_since_ns and not hold.returned_ns:
            overlapping(hold, session)


@guarded
def refused(session: SessionRecord | None, error: BaseException) -> None:
    """Note that SQLAlchemy refused to close a session in the midst of an operation."""
    if session is not None and isinstance(error, IllegalStateChangeError):
        in_use_elsewhere(session)


def checked_out_beside(pool: PoolRecord, owner: Owner, *, waiting: bool) -> None:
    """Note that an owner holds a connection of the pool already, in this task or thread."""
    if not owner.is_served or pool.capacity is None:
        return
    worker = worker_now(owner)
    for held in list(pool.holds):
        if held.owner is owner and held.taken_in == worker:
            stack = _application_stack()
            owner.recorder.incident(
                records.incident.NestedCheckout(owner, stack, held, waiting=waiting)
            )
            return


def _note_overlap(session: SessionRecord) -> None:
    if not session.overlap_seen:
        session.overlap_seen = True
        owner = session.owner
        owner.recorder.incident(records.incident.Overlap(owner, _application_stack(), session))


@guarded
def _prerequisite_failed(transaction: SessionTransaction, state: Any) -> None:
    """Note why SQLAlchemy is about to refuse an operation on a session."""
    session = record_of(transaction.session)
    if session is None:
        return
    if state is _ROLLED_BACK_BY_A_FLUSH and transaction._rollback_exception is not None:
        _note_failed_use(session, type(transaction._rollback_exception).__name__)
    elif state is _PROVISIONING and not _is_reentrant(sys._getframe()):
        _note_overlap(session)


def _is_reentrant(frame: FrameType | None) -> bool:
    """Whether this very thread or task is fetching the connection, and an event handler asks."""
    while frame is not None:
        if frame.f_code is _PROVISIONING_CODE:
            return True
        frame = frame.f_back
    return False


@guarded
def _invalid_transaction_used(connection: Connection) -> None:
    hold: ConnectionHold | None = connection.__dict__.get("_sessionwatch")
    session = hold.user() if hold is not None else None
    if session is not None:
        _note_failed_use(session)


def statement_refused(session: SessionRecord, error: BaseException) -> None:
    """Note that the database refuses statements until a rollback, after one that failed."""
    original = getattr(error, "orig", None)
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state == _IN_FAILED_SQL_TRANSACTION and session.transaction is not None:
        _note_failed_use(session)


def _note_failed_use(session: SessionRecord, error: str | None = None) -> None:
    """Report it with the error that the transaction knows of, or else with the one given."""
    owner, transaction = session.owner, session.transaction
    if transaction is not None and transaction.error is not None:
        error = transaction.error
    owner.recorder.incident(
        records.incident.UseAfterFailure(owner, _application_stack(), session, error)
    )


def _application_stack() -> Stack:
    return capture_application(walk(sys._getframe(1)))


def _wrap_refusal(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def raise_for_prerequisite_state(
        self: SessionTransaction, operation_name: str, state: Any
    ) -> Any:
        _prerequisite_failed(self, state)
        return original(self, operation_name, state)

    return raise_for_prerequisite_state


def _wrap_invalid_transaction(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def invalid_transaction(self: Connection) -> Any:
        _invalid_transaction_used(self)
        return original(self)

    return invalid_transaction


PATCHES = (
    Patch(SessionTransaction, "_raise_for_prerequisite_state", _wrap_refusal),
    Patch(Connection, "_invalid_transaction", _wrap_invalid_transaction),
)
"""Methods that only raise, so that a wrapper costs nothing until then (2.0 and 2.1)."""
