"""Whether an error is being handled, or is on its way out, where the database is told something."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from sessionwatch.instruments.patches import Patch

_across_greenlets: ContextVar[bool] = ContextVar("sessionwatch_handling", default=False)


def error_is_handled() -> bool:
    """Whether an `except`, a `finally` or the end of a `with` block runs because of an error."""
    return sys.exception() is not None or _across_greenlets.get()


@functools.cache
def async_patches() -> tuple[Patch, ...]:
    """Return what carries that over to where SQLAlchemy's asyncio runs SQL; needs greenlet.

    Each greenlet has an exception state of its own, and `AsyncSession.__aexit__` closes in a task
    of its own (sqlalchemy/ext/asyncio/session.py, 2.0 and 2.1).
    """
    try:
        from sqlalchemy.ext.asyncio import session
    except ImportError:
        return ()
    return (
        Patch(session, "greenlet_spawn", _wrap_spawn),
        Patch(session.AsyncSession, "__aexit__", _wrap_exit),
    )


def _wrap_spawn(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def spawn(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        if sys.exception() is not None:
            work = functools.partial(_while_handling, work)
        return original(work, *arguments, **options)

    return spawn


def _while_handling(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    token = _across_greenlets.set(True)
    try:
        return work(*arguments, **options)
    finally:
        _across_greenlets.reset(token)


def _wrap_exit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def leave(self: Any, error_type: Any, error: Any, traceback: Any) -> Any:
        if error_type is None:
            return await original(self, error_type, error, traceback)
        token = _across_greenlets.set(True)
        try:
            return await original(self, error_type, error, traceback)
        finally:
            _across_greenlets.reset(token)

    return leave
