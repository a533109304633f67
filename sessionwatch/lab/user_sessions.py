"""What makes the user's sessions, and how the lab has it make them on its own database.

All of it happens in a process of the lab: the user's files and database are never touched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.util import ScopedRegistry, ThreadLocalRegistry

from .call_log import CallLog, logged_class
from .errors import LabError, with_article
from .session_kinds import async_classes, is_engine, is_maker, is_scoped, is_session_class

Namespace = dict[str, Any]


class Source(Protocol):
    """Where the user's sessions come from, as `module:name`."""

    name: str
    is_async: bool

    def rebind(self, engine: Any, log: CallLog) -> None:
        """Have sessions made on this engine and written into this log, until the next call."""


def source_of(name: str, thing: Any, namespace: Namespace) -> Source:
    """Return the source that a thing is; `namespace` are the globals of who uses it.

    Raises LabError for anything but a sessionmaker, a scoped_session of one, or an engine.
    """
    if is_maker(thing):
        return MakerSource(name, thing)
    if is_engine(thing):
        return EngineSource(name, thing, namespace)
    raise LabError(
        f"--sessionmaker: {name} is {with_article(type(thing).__name__)}, and the lab can only "
        "rebind a sessionmaker, an async_sessionmaker, a scoped_session or an engine"
    )


class MakerSource:
    """A sessionmaker, alone or in a scoped_session."""

    def __init__(self, name: str, maker: Any) -> None:
        self.name = name
        self._scoped = maker if is_scoped(maker) else None
        factory: Any = factory_of(maker)
        if is_scoped(factory) or not is_maker(factory):
            raise LabError(
                f"--sessionmaker: {name} is a scoped_session of "
                f"{with_article(type(factory).__name__)}, which the lab can't rebind: make it "
                "a scoped_session of a sessionmaker"
            )
        self.factory = factory
        self._session_class: type = self.factory.class_
        self.is_async = issubclass(self._session_class, async_classes("AsyncSession"))

    def rebind(self, engine: Any, log: CallLog) -> None:
        """Configure the sessionmaker, and forget the sessions that the registry has kept."""
        self.factory.kw.pop("binds", None)
        self.factory.configure(bind=engine)
        self.factory.class_ = logged_class(self._session_class, log)
        if self._scoped is not None:
            self._scoped.registry = _emptied(self._scoped.registry, self.factory)


class EngineSource:
    """An engine that sessions are made on directly, as in `Session(engine)`.

    The names that hold it are given the lab's engine, and the names of session classes beside
    them a class that is logged.
    """

    def __init__(self, name: str, engine: Any, namespace: Namespace) -> None:
        self.name = name
        self.is_async = isinstance(engine, async_classes("AsyncEngine"))
        self._engines = list(_names_of(engine))
        if not self._engines:
            raise LabError(
                f"--sessionmaker: the engine {name} is no global of a module, so the lab can't put "
                "its own in its place: name a sessionmaker that makes the sessions"
            )
        around = {id(each): each for each in (namespace, *(each for each, _ in self._engines))}
        self._classes = [
            (each, key, thing)
            for each in around.values()
            for key, thing in each.items()
            if is_session_class(thing)
        ]

    def rebind(self, engine: Any, log: CallLog) -> None:
        """Put the lab's engine, and classes that are logged, in place of the user's."""
        for namespace, key in self._engines:
            namespace[key] = engine
        logged = {thing: logged_class(thing, log) for _, _, thing in self._classes}
        for namespace, key, thing in self._classes:
            namespace[key] = logged[thing]


@dataclass(frozen=True, slots=True)
class Named:
    """Something that was found under a name of the user's."""

    name: str
    thing: Any
    namespace: Namespace


def factory_of(maker: Any) -> Any:
    """Return what makes the sessions of a registry, or the sessionmaker itself."""
    return maker.session_factory if is_scoped(maker) else maker


def _emptied(registry: Any, factory: Any) -> Any:
    if isinstance(registry, ThreadLocalRegistry):
        return ThreadLocalRegistry(factory)
    return ScopedRegistry(factory, registry.scopefunc)


def _names_of(engine: Any) -> Iterator[tuple[Namespace, str]]:
    """Find all names of modules that hold this very engine."""
    for module in list(sys.modules.values()):
        namespace = getattr(module, "__dict__", {})
        for key, thing in list(namespace.items()):
            if thing is engine:
                yield namespace, key
