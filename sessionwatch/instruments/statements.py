"""What is executed: which statement, when it began and ended, whether it changed rows.

Listeners on the Engine would tell the same and cost several times as much; the methods of
`Connection` are wrapped instead, which also tells when a statement has ended.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.engine import Connection

from sessionwatch.instruments.attribution import (
    current_owner,
    guarded,
    worker_now,
)
from sessionwatch.instruments.blocking import worked_long
from sessionwatch.instruments.handling import error_is_handled
from sessionwatch.instruments.holds import hold_of
from sessionwatch.instruments.misuse import overlapping, statement_refused, used_by_another
from sessionwatch.instruments.patches import Patch
from sessionwatch.instruments.returning import changes_so_far, settle_unsure_write
from sessionwatch.instruments.stacks import capture_application, walk
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.stand_in import StandIn

# Every repetition is possessive: no text of an application's makes these patterns backtrack.
_COMMENTS = r"(?:\s++|/\*(?>.*?\*/)|--[^\n]*+\n)*+"
_WRITING = _COMMENTS + r"(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|TRUNCATE|COPY)\b"
_NO_WRITES = (
    *("SELECT", "select", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "PRAGMA"),
    *("\nCREATE TABLE", "CREATE INDEX", "\nDROP TABLE", "DROP INDEX"),
)
"""What most texts begin with, and none that writes."""
_WITH = _COMMENTS + r"WITH\b"
_WRITING_AFTER_WITH = (
    r"(?:\bAS\s*+(?:NOT\s++)?+(?:MATERIALIZED\s*+)?+\(|\))\s*+(?:INSERT|UPDATE|DELETE|MERGE)\b"
)


@guarded
def statement_began(connection: Connection, statement: Any) -> ConnectionHold | None:
    """Note that a connection is busy."""
    hold = hold_of(connection)
    if hold is None:
        return None
    session = hold.session
    owner = hold.owner if session is None else session.owner
    if hold.running_since_ns:
        overlapping(hold, session)
    else:
        hold.running_since_ns = owner.recorder.clock()
    worker = worker_now(owner)
    if worker is not hold.running_in:
        hold.running_in = worker
    if session is not None:
        if not isinstance(worker, int):
            session.task = worker
        user = current_owner.get()
        if user is not owner and not isinstance(owner, StandIn):
            used_by_another(session, user)  # but a test may give its own to all of its requests
    if hold.unsure_write is not None:
        settle_unsure_write(hold)
    if getattr(statement, "_returning", None):
        hold.changes_before = changes_so_far(connection)
    return hold


@guarded
def statement_ended(
    connection: Connection, hold: ConnectionHold | None, statement: Any, result: Any
) -> None:
    """Count a statement that came through, and a write if it changed rows.

    There was no hold before it if the connection had been invalidated: there may be one now.
    """
    hold = hold or hold_of(connection)
    if hold is None:
        return
    _note_end(connection, hold)
    text = _text_without_parameters(statement, result)
    session = hold.user()
    wrote = _changes_rows(statement, text, result)
    if session is None:
        hold.statements += 1
        hold.writes += wrote
        return
    session.statements += 1
    session.statement = text
    session.last_used_ns = hold.last_used_ns
    transaction = session.transaction
    if wrote:
        session.writes += 1
        if transaction is not None and not is_autocommit(connection):
            transaction.writes += 1
            if hold.changes_before is not None and not _inserts_for_certain(statement):
                hold.unsure_write = (session, transaction)
            if not transaction.first_write_ns:
                transaction.first_write_ns = hold.last_used_ns
                transaction.written_while_handling = error_is_handled()


@guarded
def statement_failed(connection: Connection, hold: ConnectionHold, error: BaseException) -> None:
    """Note that a statement raised, with the name of the error alone."""
    _note_end(connection, hold)
    session = hold.user()
    if session is None:
        hold.statements += 1
    else:
        session.statements += 1
        transaction = session.transaction
        if transaction is not None:
            statement_refused(session, error)
            if transaction.error is None:
                transaction.error = type(error).__name__
                transaction.failed_at = capture_application(walk(sys._getframe(2)))


def _note_end(connection: Connection, hold: ConnectionHold) -> None:
    recorder = hold.owner.recorder
    hold.last_used_ns = now_ns = recorder.clock()
    if hold.running_since_ns:
        ran_ns = now_ns - hold.running_since_ns
        hold.busy_ns += ran_ns
        hold.running_since_ns = 0
        if ran_ns >= recorder.loop_blocked_ns:
            worked_long(hold.owner, ran_ns, connection.dialect.is_async, False)


def _changes_rows(statement: Any, text: str | None, result: Any) -> bool:
    """Return whether a statement changed rows; one that matched none did not.

    What returns rows has no count of them yet (RETURNING on SQLite).
    """
    if getattr(statement, "is_select", False):
        return False
    if getattr(statement, "is_dml", False):
        writes = True
    else:
        writes = text is not None and _is_writing_text(text)
    if not writes or _inserts_for_certain(statement):
        return writes
    return getattr(result, "rowcount", -1) != 0 or result.returns_rows


def _is_writing_text(text: str) -> bool:
    if text.startswith(_NO_WRITES):
        return False
    if _compiled(_WRITING).match(text):
        return True
    return bool(_compiled(_WITH).match(text) and _compiled(_WRITING_AFTER_WITH).search(text))


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern, which takes a good part of a millisecond and few texts ask for."""
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _inserts_for_certain(statement: Any) -> bool:
    """Whether a statement adds the rows that it is given, which not every driver counts.

    An INSERT from a SELECT may add none, nor need one with ON CONFLICT, which SQLAlchemy keeps as
    `_post_values_clause` (sql/dml.py, 2.0 and 2.1).
    """
    return (
        getattr(statement, "is_insert", False)
        and statement.select is None
        and getattr(statement, "_post_values_clause", None) is None
    )


def _text_without_parameters(statement: Any, result: Any) -> str | None:
    """Return the SQL as it was compiled: what is sent may have literal values written into it."""
    context = getattr(result, "context", None)
    if context is None:
        return _own_text(statement)
    compiled = context.compiled
    text: str = context.statement if compiled is None else compiled.string
    return text


def _own_text(statement: Any) -> str | None:
    if isinstance(statement, TextClause):
        return statement.text
    return statement if isinstance(statement, str) else None


def is_autocommit(connection: Connection) -> bool:
    """Return whether the driver commits each statement by itself.

    The isolation level of `create_engine` is kept by the dialect alone
    (`_on_connect_isolation_level` in sqlalchemy/engine/default.py, 2.0 and 2.1).
    """
    level = connection.get_execution_options().get("isolation_level")
    if level is None:
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    return level == "AUTOCOMMIT"


def _wrap_execution(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def execute(self: Connection, statement: Any, *arguments: Any, **options: Any) -> Any:
        hold = statement_began(self, statement)
        try:
            result = original(self, statement, *arguments, **options)
        except BaseException as error:
            if hold is not None:
                statement_failed(self, hold, error)
            raise
        statement_ended(self, hold, statement, result)
        return result

    return execute


PATCHES = (
    Patch(Connection, "execute", _wrap_execution),
    Patch(Connection, "scalar", _wrap_execution),
    Patch(Connection, "exec_driver_sql", _wrap_execution),
)
