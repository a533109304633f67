"""A block or function that is to leave nothing open, in any program or test."""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Callable, Collection
from typing import Any, Self, TypeVar, overload

from sessionwatch.instruments.attribution import current_owner
from sessionwatch.records.stand_in import OtherThreads, StandIn
from sessionwatch.rules.codes import require_codes
from sessionwatch.settings import Settings
from sessionwatch.testing.handle import TestHandle, raise_for
from sessionwatch.testing.suite import suite_settings
from sessionwatch.watch import SessionWatch

_Function = TypeVar("_Function", bound=Callable[..., Any])


@overload
def no_leaks(function: _Function, /) -> _Function: ...
@overload
def no_leaks(*, allow: Collection[str] = (), settings: Settings | None = None) -> NoLeaks: ...
def no_leaks(
    function: Any = None, /, *, allow: Collection[str] = (), settings: Settings | None = None
) -> Any:
    """Raise `LeakError` when the code inside leaks a session or does other harm to one.

    `with no_leaks():` and `async with no_leaks():` watch a block, and give what `TestHandle`
    offers; `@no_leaks()` and `@no_leaks` watch each call of a function, sync or async. What belongs
    to the block is what its own task or thread opens, with the tasks and requests that it starts.
    An exception of the block's own goes out as it is. `allow` names codes that are meant, or what
    they begin with. Raises `ValueError` for a code that does not exist, `SettingsError` as
    `Settings.load` does, `TypeError` for a generator function.
    """
    block = NoLeaks(allow, settings)
    if function is None:
        return block
    if not callable(function):
        raise TypeError(
            f"no_leaks({function!r}) names no function; write no_leaks(allow=['SW101'])"
        )
    return block(function)


class NoLeaks:
    """What `no_leaks()` gives: a block, or a decorator of functions."""

    def __init__(self, allow: Collection[str], settings: Settings | None) -> None:
        self._allow = require_codes(allow)
        self._settings = settings
        self._watch: SessionWatch | None = None

    def __call__(self, function: _Function) -> _Function:
        """Return a function that does the same, each call in a block of its own.

        Raises `TypeError` for a generator function, whose body does not run when it is called.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"no_leaks() would watch nothing of {_name_of(function)}, as calling a generator "
                "function runs nothing of it; write `with no_leaks():` around what iterates it"
            )

        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            with NoLeaks(self._allow, self._settings)._named(function):
                return function(*arguments, **keywords)

        @functools.wraps(function)
        async def call_async(*arguments: Any, **keywords: Any) -> Any:
            async with NoLeaks(self._allow, self._settings)._named(function):
                return await function(*arguments, **keywords)

        is_async = inspect.iscoroutinefunction(function)
        return call_async if is_async else call  # type: ignore[return-value]

    _name = "the block"

    def _named(self, function: Callable[..., Any]) -> Self:
        self._name = _name_of(function)
        return self

    def __enter__(self) -> TestHandle:
        if self._watch is not None:
            raise RuntimeError("this no_leaks() is in use: make another for the inner block")
        watch = self._watch = SessionWatch(self._settings or suite_settings()).start()
        self._owner = StandIn("block", self._name, watch, watch.clock(), OtherThreads().now())
        self._owner.permitted = self._allow
        self._token = current_owner.set(self._owner)
        return TestHandle(self._owner)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        watch, owner = self._watch, self._owner
        assert watch is not None
        try:
            current_owner.reset(self._token)
            if owner.leaves_connections_out():
                gc.collect()
            owner.judge_all(watch.clock())
        finally:
            self._watch = None
            watch.stop()
        if error is None:
            raise_for(owner.findings, "is not clean", owner)

    async def __aenter__(self) -> TestHandle:
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        self.__exit__(kind, error, traceback)


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
