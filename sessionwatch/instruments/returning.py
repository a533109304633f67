"""Writes with RETURNING on SQLite, which tells how many rows it changed when all are fetched."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.session import SessionRecord


def changes_so_far(connection: Connection) -> int | None:
    """Return how many rows SQLite's connection has changed ever; other drivers need no such help.

    Python's sqlite3 gives 0 as the `rowcount` of such a statement until its rows are fetched.
    """
    if connection.dialect.name != "sqlite":
        return None
    driver = connection.connection.driver_connection
    changes: int | None = getattr(driver, "total_changes", None)
    return changes


def settle_unsure_write(hold: ConnectionHold) -> None:
    """Take back the last write if SQLite has changed no row since; called when that is known."""
    before, hold.changes_before = hold.changes_before, None
    unsure, hold.unsure_write = hold.unsure_write, None
    proxy = hold.proxy()
    if before is None or unsure is None or proxy is None or not proxy.is_valid:
        return
    if getattr(proxy.driver_connection, "total_changes", None) == before:
        session, transaction = unsure
        session.writes -= 1
        transaction.take_back_write()


def settle_unsure_writes(session: SessionRecord) -> None:
    """Do so on each of a session's connections; called before its transaction ends."""
    for hold in session.holds or ():
        if hold.unsure_write is not None:
            settle_unsure_write(hold)
