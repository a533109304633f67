"""Where a session carries its record, and what its user wrote on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from sessionwatch.records.mark import MARKS
from sessionwatch.records.session import SessionRecord

ATTRIBUTE = "_sessionwatch"
INFO = "info"
"""What a session's `__dict__` has only if somebody asked for `info`, which that makes."""
INFO_KEY = "sessionwatch"

if TYPE_CHECKING:

    class WatchedSession(Session):
        """A session while a watch runs."""

        _sessionwatch: SessionRecord | None
else:
    WatchedSession = Session


def sessions_have_none() -> None:
    """Let sessions that were opened before the watch have no record; it stays so."""
    setattr(Session, ATTRIBUTE, None)


def record_of(session: Session) -> SessionRecord | None:
    """Return the record of a session, or None, also when no watch runs any more."""
    return getattr(session, ATTRIBUTE, None)


def read_mark(record: SessionRecord, session: Session) -> None:
    """Take over `session.info["sessionwatch"]`, without making an `info` that nobody asked for."""
    info = session.__dict__.get(INFO)
    if info and INFO_KEY in info:
        record.mark = info[INFO_KEY]
        if record.mark not in MARKS:
            record.owner.recorder.unknown_mark(record.mark)
