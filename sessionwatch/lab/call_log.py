"""The lab's own record of what an application called on its sessions.

An application is given sessions of subclasses that are made below. They know nothing of the watch
and the watch nothing of them, so the two can be held against each other.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from .session_kinds import async_classes

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_CLOSING_CALLS = ("close", "reset", "invalidate")
_NOTED_CALLS = ("commit", "rollback", *_CLOSING_CALLS)


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
        return any(call in _CLOSING_CALLS for call in self.calls) and not reopened


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

    def knows(self, session: object) -> bool:
        """Whether this session was entered."""
        return any(logged.session() is session for logged in self._sessions)

    def enter(self, session: object) -> list[str]:
        """Take up a new session and return the list that its calls belong in."""
        # An AsyncSession can be gone while the session that does its work is still there.
        logged = _LoggedSession(weakref.ref(getattr(session, "sync_session", session)))
        self._sessions.append(logged)
        return logged.calls


def logged_sessionmaker(engine: Engine, log: CallLog) -> sessionmaker[Session]:
    """Return the demo app's `SessionLocal`, making sessions that write into `log`."""
    session_class: type[Session] = logged_class(Session, log)
    return sessionmaker(autocommit=False, autoflush=False, bind=engine, class_=session_class)


def logged_async_sessionmaker(engine: AsyncEngine, log: CallLog) -> Any:
    """Return the same for AsyncSession; needs greenlet."""
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    session_class: type[AsyncSession] = logged_class(AsyncSession, log)
    return async_sessionmaker(engine, autocommit=False, autoflush=False, class_=session_class)


def logged_class(session_class: Any, log: CallLog) -> Any:
    """Return a subclass of a Session or AsyncSession class that writes what is called into `log`.

    Its sessions are `log`'s from their first moment, whoever makes them.
    """

    class Logged(session_class):  # type: ignore[misc]
        @functools.wraps(session_class.__init__)  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.__calls = log.enter(self)

        def _note(self, call: str) -> None:
            self.__calls.append(call)

    Logged.__name__, Logged.__qualname__ = session_class.__name__, session_class.__qualname__
    noted = _noted_awaitable if issubclass(session_class, async_classes("AsyncSession")) else _noted
    for call in _NOTED_CALLS:
        setattr(Logged, call, noted(Logged, call))
    return Logged


def _noted(session_class: type, call: str) -> Callable[..., None]:
    def method(self: Any, *arguments: Any, **options: Any) -> None:
        self._note(call)
        getattr(super(session_class, self), call)(*arguments, **options)

    return method


def _noted_awaitable(session_class: type, call: str) -> Callable[..., Any]:
    async def method(self: Any, *arguments: Any, **options: Any) -> None:
        self._note(call)
        await getattr(super(session_class, self), call)(*arguments, **options)

    return method
