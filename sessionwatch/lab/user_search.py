"""Finds what makes the sessions of a dependency: first by what its code uses, then beside it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant

from .errors import LabError
from .session_kinds import is_engine, is_maker, is_scoped
from .user_import import tell
from .user_sessions import Named, factory_of

_OF_A_CLASS = ("__init__", "__enter__", "__aenter__")


def find_source(get_db: str, call: Callable[..., Any]) -> Named:
    """Return the one sessionmaker or engine that a dependency, or one it depends on, works with.

    Raises LabError when there is none, or when there are several to choose from.
    """
    calls = _calls(get_db, call)
    functions = [function for each in calls for function in functions_of(each)]
    used = [named for each in calls for named in _kept_in(each)]
    used += [named for function in functions for named in _used(function)]
    beside = [named for function in functions for named in _beside(function)]
    for near in (used, beside):
        for is_wanted in (is_maker, is_engine):
            found = _distinct(named for named in near if is_wanted(named.thing))
            if len(found) > 1:
                names = ", ".join(named.name for named in found)
                raise LabError(
                    f"--get-db: {get_db} may get its sessions from {names}: name the one with "
                    f"--sessionmaker {found[0].name}"
                )
            if found:
                return found[0]
    raise LabError(
        f"--get-db: there is no sessionmaker or engine in {_module(functions, get_db)} where "
        f"{get_db} is written: name it with --sessionmaker package.module:SessionLocal"
    )


def _calls(get_db: str, call: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the dependency and all it depends on, as FastAPI reads them."""
    try:
        root = get_dependant(path="", call=call)
    except Exception as error:  # noqa: BLE001 - FastAPI refuses signatures in many ways
        raise LabError(f"--get-db: FastAPI can't take {get_db}: {tell(error, get_db)}") from None
    return [call, *_calls_below(root)]


def _calls_below(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for below in dependant.dependencies:
        if below.call is not None:
            yield below.call
        yield from _calls_below(below)


def functions_of(call: Any) -> Iterator[FunctionType]:
    """Return the plain functions behind a callable: a decorated one, an instance's, a class's."""
    while isinstance(call, functools.partial):
        call = call.func
    call = inspect.unwrap(call)
    if inspect.ismethod(call):
        call = call.__func__
    if isinstance(call, FunctionType):
        yield call
        return
    class_, names = (call, _OF_A_CLASS) if isinstance(call, type) else (type(call), ("__call__",))
    methods = (inspect.getattr_static(class_, name, None) for name in names)
    yield from (method for method in methods if isinstance(method, FunctionType))


def _kept_in(call: Any) -> Iterator[Named]:
    """Find what a callable instance keeps in its attributes."""
    for function in functions_of(call):
        if not isinstance(call, (FunctionType, type)):
            for key, thing in getattr(call, "__dict__", {}).items():
                yield _named(function, f"{type(call).__name__}.{key}", thing)


def _used(function: FunctionType) -> Iterator[Named]:
    """Find what the function's own code names, also as an attribute of a module or an object."""
    names = inspect.getclosurevars(function)
    for key, thing in {**names.globals, **names.nonlocals}.items():
        yield _named(function, key, thing)
        if isinstance(thing, ModuleType):
            attributes = {name: getattr(thing, name, None) for name in names.unbound}
            yield from (
                Named(f"{thing.__name__}:{name}", each, vars(thing))
                for name, each in attributes.items()
            )
        elif not is_maker(thing) and not is_engine(thing):
            attributes = getattr(thing, "__dict__", {})
            yield from (
                _named(function, f"{key}.{name}", each) for name, each in attributes.items()
            )


def _beside(function: FunctionType) -> Iterator[Named]:
    for key, thing in list(function.__globals__.items()):
        yield _named(function, key, thing)


def _named(function: FunctionType, key: str, thing: Any) -> Named:
    return Named(f"{function.__module__}:{key}", thing, function.__globals__)


def _distinct(found: Iterable[Named]) -> list[Named]:
    """Drop what is there twice; a scoped_session stands for its sessionmaker too."""
    kept: dict[int, Named] = {}
    for named in found:
        thing = named.thing
        identity = id(factory_of(thing) if is_maker(thing) else thing)
        if identity not in kept or is_scoped(thing):
            kept[identity] = named
    return list(kept.values())


def _module(functions: list[FunctionType], get_db: str) -> str:
    return functions[0].__module__ if functions else get_db.partition(":")[0]
