"""What nothing that watches like this can undercut: the same places touched, and nothing done.

The places are read from sessionwatch's own instruments, so that the floor can't fall behind them.
"""

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from sessionwatch import instruments
from sessionwatch.records.code_origin import CodeOrigin, origin_of


class PassingOn:
    """A middleware that wraps `send`, as whatever knows the end of a response must."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on."""

        async def send_on(message: Any) -> None:
            await send(message)

        await self.app(scope, receive, send_on)


def touch() -> None:
    """Put an empty listener and a wrapper that passes on wherever sessionwatch has its own."""
    for module in _instruments():
        for target, name, _ in getattr(module, "LISTENERS", ()):
            event.listen(target, name, lambda *arguments: None)
        for patch in (*getattr(module, "PATCHES", ()), *getattr(module, "async_patches", tuple)()):
            original = patch._owner.__dict__[patch._name]
            opens = (patch._owner, patch._name) == (Session, "__init__")
            if inspect.isfunction(original):  # no request calls what is none: `engine_created`
                wrap = _walking if opens else _passing_on
                setattr(patch._owner, patch._name, wrap(original))


def _instruments() -> Iterator[Any]:
    for module in pkgutil.iter_modules(instruments.__path__):
        yield importlib.import_module(f"{instruments.__name__}.{module.name}")


def _passing_on(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        return original(self, *arguments, **options)

    return call


def _walking(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def construct(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        _walk()

    return construct


def _walk() -> None:
    """Look at the frames that the default tier looks at: up to the end of the application's."""
    frame, met = sys._getframe(2), False
    while frame is not None:
        origin = origin_of(frame.f_code.co_filename)
        if origin is CodeOrigin.APPLICATION:
            met = True
        elif met or origin is CodeOrigin.EVENT_LOOP:
            return
        frame = frame.f_back
