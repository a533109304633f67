"""Fits what the user named to routes that want a session where FastAPI alone would not.

FastAPI enters no context manager and gives a class's instance as it is. A route of the user's own
would enter it, or take the session out of it; here that is done for the demo app's routes.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import Depends

from .session_kinds import is_session, is_session_class

Dependency = Callable[..., Any]


def adapt(call: Dependency) -> tuple[Dependency, str]:
    """Return what gives routes a session, and what is to be said about it, or nothing.

    Of a function under `@contextmanager`, the generator is taken: FastAPI makes a context manager
    by itself, and of a decorated one the handler is given the context manager (0.115 to 0.121) or
    the request fails (0.165).
    """
    code = getattr(call, "__code__", None)
    if code is not None and code.co_filename == contextlib.__file__:
        return inspect.unwrap(call), "FastAPI took the generator itself, without @contextmanager"
    if not isinstance(call, type) or is_session_class(call):
        return call, ""
    if hasattr(call, "__aenter__"):
        return _entered_async(call), "entered by the lab, as FastAPI enters no context manager"
    if hasattr(call, "__enter__"):
        return _entered(call), "entered by the lab, as FastAPI enters no context manager"
    return _taken_out_of(call), "the session that its instance holds is what handlers are given"


def _entered(class_: type) -> Dependency:
    def enter(manager: Any = Depends(class_)) -> Iterator[Any]:  # noqa: B008
        with manager as entered:
            yield entered

    return enter


def _entered_async(class_: type) -> Dependency:
    async def enter(manager: Any = Depends(class_)) -> AsyncIterator[Any]:  # noqa: B008
        async with manager as entered:
            yield entered

    return enter


def _taken_out_of(class_: type) -> Dependency:
    async def take(holder: Any = Depends(class_)) -> Any:  # noqa: B008
        held = [each for each in getattr(holder, "__dict__", {}).values() if _is_any_session(each)]
        return held[0] if len(held) == 1 else holder

    return take


def _is_any_session(thing: object) -> bool:
    return is_session(thing, is_async=False) or is_session(thing, is_async=True)
