"""Whether an error is being handled, or is on its way out, where the database is told something."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from sessionwatch.instruments.patches import Patch
from sessionwatch.instruments.when_imported import WhenImported

_across_greenlets: ContextVar[bool] = ContextVar("sessionwatch_handling", default=False)


def error_is_handled() -> bool:
    """Whether an `except`, a `finally` or the end of a `with` block runs because of an error."""
    return sys.exception() is not None or _across_greenlets.get()


class AsyncPatches:
    """What carries that over to where SQLAlchemy's asyncio runs SQL; needs greenlet.

    Each greenlet has an exception state of its own, and `AsyncSession.__aexit__` closes in a task
    of its own (sqlalchemy/ext/asyncio/session.py, 2.0 and 2.1).
    """

    def __init__(self) -> None:
        self._import = WhenImported("sqlalchemy.ext.asyncio.session", self.apply)
        self._applied: tuple[Patch, ...] = ()

    def apply(self) -> None:
        """Import what is to be patched, and patch it."""
        try:
            from sqlalchemy.ext.asyncio import session
        except ImportError:
            return
        self._applied = _patches_of(session)
        for patch in self._applied:
            patch.apply()

    def apply_when_imported(self) -> None:
        """Patch it as soon as somebody imports it."""
        self._import.wait()

    def remove(self) -> None:
        """Put back what was patched, and look out for the import no longer."""
        self._import.stop()
        for patch in reversed(self._applied):
            patch.remove()
        self._applied = ()


@functools.cache
def _patches_of(session: ModuleType) -> tuple[Patch, ...]:
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
