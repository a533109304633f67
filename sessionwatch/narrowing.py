"""Which sessions and pools a watch was told to keep to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, sessionmaker

from sessionwatch.instruments.binds import binds_by_mapper


class Narrowing:
    """The session classes, sessionmakers and engines that are watched.

    Raises `TypeError` for anything else.
    """

    def __init__(self, only: Sequence[Any]) -> None:
        self._engines: tuple[Engine, ...] = ()
        self._classes: tuple[type[Session], ...] = ()
        for each in only:
            engine = getattr(each, "sync_engine", each)
            if isinstance(engine, Engine):
                self._engines += (engine,)
            else:
                self._classes += (_session_class(each),)

    def session(self, session: Session) -> bool:
        """Whether a session is of one of the classes, or bound to one of the engines."""
        if isinstance(session, self._classes):
            return True
        binds = [session.bind, *binds_by_mapper(session).values()]
        return any(bind is not None and bind.engine in self._engines for bind in binds)

    def pool(self, pool: Any) -> bool:
        """Whether a pool is an engine's that is watched; all are when classes are named."""
        if self._classes:
            return True
        return any(engine.pool is pool for engine in self._engines)


def _session_class(each: Any) -> type[Session]:
    if isinstance(each, sessionmaker):
        return each.class_
    if isinstance(each, type) and issubclass(each, Session):
        return each
    raise TypeError(
        f"only takes Session classes, sessionmakers, engines and async engines, not {each!r}; "
        "for an AsyncSession, give its AsyncEngine"
    )
