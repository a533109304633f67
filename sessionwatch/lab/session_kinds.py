"""Which kind of SQLAlchemy's session things an object is, without importing what needs greenlet."""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker


def async_classes(*names: str) -> tuple[type, ...]:
    """Return these classes of `sqlalchemy.ext.asyncio`, or none while nobody has imported it.

    An object of such a class can only be there after that import, which SQLAlchemy 2.1 refuses
    where greenlet is missing.
    """
    module = sys.modules.get("sqlalchemy.ext.asyncio")
    return tuple(getattr(module, name) for name in names) if module else ()


def is_maker(thing: object) -> bool:
    """Whether it is a sessionmaker, or a scoped_session around something."""
    names = ("async_sessionmaker", "async_scoped_session")
    return isinstance(thing, (sessionmaker, scoped_session, *async_classes(*names)))


def is_scoped(thing: object) -> bool:
    """Whether it is a registry of sessions, which can stand for the current one."""
    return isinstance(thing, (scoped_session, *async_classes("async_scoped_session")))


def is_engine(thing: object) -> bool:
    """Whether it is an engine of either kind."""
    return isinstance(thing, (Engine, *async_classes("AsyncEngine")))


def is_session_class(thing: object) -> bool:
    """Whether it is a class of sessions of either kind."""
    return isinstance(thing, type) and issubclass(thing, (Session, *async_classes("AsyncSession")))


def is_session(thing: object, *, is_async: bool) -> bool:
    """Whether a handler of that kind can use it as its session; a registry will do."""
    if is_async:
        return isinstance(thing, async_classes("AsyncSession", "async_scoped_session"))
    return isinstance(thing, (Session, scoped_session))


def sync_session_of(thing: Any) -> Session:
    """Return the Session that does the work of a session or registry of either kind."""
    current = thing.registry() if is_scoped(thing) else thing
    session: Session = getattr(current, "sync_session", current)
    return session
