"""The lab's own record of what an application called on its sessions.

The demo app is given sessions of the subclasses below. They know nothing of the watch and the
watch nothing of them, so the two can be held against each other.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_LOG = "sessionwatch.lab.call_log"


@dataclass(slots=True)
class _LoggedSession:
    """The calls made on one session; the reference is weak, so that logging pins nothing."""

    session: Callable[[], Any]
    calls: list[str] = field(default_factory=list)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed and not put to use again afterwards."""
        session = self.session()
        reopened = session is not None and session.in_transaction()
        return "close" in self.calls and not reopened


class CallLog:
    """Which sessions one cell opened, and what was called on each, in order."""

    def __init__(self) -> None:
        self._sessions: list[_LoggedSession] = []

    @property
    def opened(self) -> int:
        """How many sessions were made."""
        return len(self._sessions)

    @property
    def closed(self) -> int:
        """How many of them are closed now."""
        return sum(logged.is_closed for logged in self._sessions)

    @property
    def calls(self) -> list[str]:
        """What was called on each session, as `commit, close`, in the order of their opening."""
        return [", ".join(logged.calls) for logged in self._sessions]

    def enter(self, session: object) -> list[str]:
        """Take up a new session and return the list that its calls belong in."""
        # An AsyncSession can be gone while the session that does its work is still there.
        logged = _LoggedSession(weakref.ref(getattr(session, "sync_session", session)))
        self._sessions.append(logged)
        return logged.calls


class LoggedSession(Session):
    """A Session that tells the cell's call log when it is committed, rolled back or closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._calls: list[str] = cast("CallLog", self.info[_LOG]).enter(self)

    def commit(self) -> None:
        """Commit as Session does."""
        self._calls.append("commit")
        super().commit()

    def rollback(self) -> None:
        """Roll back as Session does."""
        self._calls.append("rollback")
        super().rollback()

    def close(self) -> None:
        """Close as Session does."""
        self._calls.append("close")
        super().close()


def logged_sessionmaker(engine: Engine, log: CallLog) -> sessionmaker[LoggedSession]:
    """Return the demo app's `SessionLocal`, making sessions that write into `log`."""
    return sessionmaker(
        autocommit=False, autoflush=False, bind=engine, class_=LoggedSession, info={_LOG: log}
    )


def logged_async_sessionmaker(engine: AsyncEngine, log: CallLog) -> Any:
    """Return the same for AsyncSession; needs greenlet."""
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    class LoggedAsyncSession(AsyncSession):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._calls: list[str] = self.info[_LOG].enter(self)

        async def commit(self) -> None:
            self._calls.append("commit")
            await super().commit()

        async def rollback(self) -> None:
            self._calls.append("rollback")
            await super().rollback()

        async def close(self) -> None:
            self._calls.append("close")
            await super().close()

    return async_sessionmaker(
        engine,
        autocommit=False,
        autoflush=False,
        class_=LoggedAsyncSession,
        info={_LOG: log},
    )
