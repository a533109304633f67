"""Reading the call stack: cheap, raw, and across the greenlets of SQLAlchemy's asyncio."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType

from sqlalchemy.util import ScopedRegistry, ThreadLocalRegistry

from sessionwatch.instruments.handling import error_is_handled
from sessionwatch.records.code_origin import KNOWN_ORIGINS, CodeOrigin, origin_of
from sessionwatch.records.stack import NO_STACK, RawFrame, Stack

Capture = Callable[[FrameType | None], tuple[Stack, bool]]
"""Reads the stack from a frame on; also tells whether a scoped registry opened the session."""

_APPLICATION, _EVENT_LOOP = CodeOrigin.APPLICATION, CodeOrigin.EVENT_LOOP
_LIBRARY, _MACHINERY = CodeOrigin.LIBRARY, CodeOrigin.MACHINERY
_CONTEXTLIB = contextlib.__file__
_STARLETTE = f"{os.sep}starlette{os.sep}"
_SQLALCHEMY_ASYNCIO = f"{os.sep}sqlalchemy{os.sep}ext{os.sep}asyncio{os.sep}"
_MIDDLEWARE = str(Path(__file__).with_name("middleware.py"))
_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_FRAMES_CALLER = 8
_FRAMES_TO_A_REGISTRY = 8
_FRAMES_FULL = 64
_FRAMES_WALKED = 128
_SCOPED_CODE: CodeType = ScopedRegistry.__call__.__code__
_THREAD_LOCAL_CODE: CodeType = ThreadLocalRegistry.__call__.__code__


def capture_nothing(frame: FrameType | None) -> tuple[Stack, bool]:
    """Keep no stack; the few innermost frames tell of a scoped registry all the same."""
    for _ in range(_FRAMES_TO_A_REGISTRY):
        if frame is None:
            break
        if frame.f_code is _SCOPED_CODE or frame.f_code is _THREAD_LOCAL_CODE:
            return NO_STACK, True
        frame = frame.f_back
    return NO_STACK, False


def capture_caller(frame: FrameType | None) -> tuple[Stack, bool]:
    """Keep the innermost run of application frames, which holds the line that opened it."""
    application: list[RawFrame] = []
    library: list[RawFrame] = []
    scoped = False
    known = KNOWN_ORIGINS.get
    while frame is not None:
        code = frame.f_code
        origin = known(code.co_filename) or origin_of(code.co_filename)
        if origin is _APPLICATION:
            application.append((code, frame.f_lasti))
            if len(application) == _FRAMES_CALLER:
                break
        elif application or origin is _EVENT_LOOP:
            break
        elif origin is _LIBRARY:
            if len(library) < _FRAMES_CALLER:
                library.append((code, frame.f_lasti))
        elif code is _SCOPED_CODE or code is _THREAD_LOCAL_CODE:
            scoped = True
        frame = frame.f_back or _frame_across_greenlets(frame)
    return Stack(tuple(application or library)), scoped


def capture_application(frames: Iterable[FrameType]) -> Stack:
    """Keep the application's frames alone, all of them, to tell who called whom."""
    raw = []
    for walked in frames:
        origin = origin_of(walked.f_code.co_filename)
        if origin is CodeOrigin.EVENT_LOOP:
            break
        if origin is not CodeOrigin.MACHINERY:
            raw.append((walked.f_code, walked.f_lasti))
    return Stack(tuple(raw))


Ending = tuple[Stack, bool, bool]
"""Who ends a transaction, as far as its stack tells: the application's frames alone, all of them;
whether a generator goes on after its `yield`, and no code of the user's has it do so; whether the
application was called with a request, and calls this: no task of its own."""


def ending_at(frame: FrameType | None) -> Ending:
    """Read in one walk who ends a transaction: up to the first frame of Starlette's or of ours.

    Whoever is beyond that serves what called it; and there may be many of them.
    FastAPI leaves a dependency through contextlib's `__exit__` and `__aexit__` (0.115 to 0.165); so
    does a `with` block, but that one stands in somebody's code, which may in its turn be such a
    generator. An error on its way is no exit. Where a middleware of Starlette's runs the
    application in another task, its frames tell that it is served; a task of SQLAlchemy's own,
    which `async with` makes for a commit (sqlalchemy/ext/asyncio/session.py, 2.0 and 2.1), does
    not tell whom it works for.
    """
    raw: list[RawFrame] = []
    undecided = not error_is_handled()
    leaving = exits = served = False
    below: CodeType | None = None
    known = KNOWN_ORIGINS.get
    for _ in range(_FRAMES_WALKED):
        if frame is None:
            break
        code = frame.f_code
        file = code.co_filename
        origin = known(file) or origin_of(file)
        if undecided:
            if file == _CONTEXTLIB:
                if below is not None and below.co_flags & _GENERATOR:
                    leaving = code.co_name in ("__exit__", "__aexit__")
            elif leaving:
                leaving, exits = False, origin is not _APPLICATION
                undecided = not exits
        if origin is _EVENT_LOOP:
            served = below is not None and _SQLALCHEMY_ASYNCIO in below.co_filename
            break
        if origin is not _MACHINERY:
            raw.append((code, frame.f_lasti))
        elif _STARLETTE in file or file == _MIDDLEWARE:
            served = True
            break
        below = code
        frame = frame.f_back or _frame_across_greenlets(frame)
    exits = exits or leaving
    return Stack(tuple(raw)), exits, served or exits


def capture_full(frame: FrameType | None) -> tuple[Stack, bool]:
    """Keep the whole stack, up to 64 frames."""
    raw: list[RawFrame] = []
    scoped = False
    for walked in walk(frame):
        code = walked.f_code
        raw.append((code, walked.f_lasti))
        scoped = scoped or code is _SCOPED_CODE or code is _THREAD_LOCAL_CODE
        if len(raw) == _FRAMES_FULL:
            break
    return Stack(tuple(raw)), scoped


CAPTURES: dict[str, Capture] = {
    "off": capture_nothing,
    "caller": capture_caller,
    "full": capture_full,
}


def walk(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that led to it, across greenlets, within bounds."""
    for _ in range(_FRAMES_WALKED):
        if frame is None:
            return
        yield frame
        frame = frame.f_back or _frame_across_greenlets(frame)


def _frame_across_greenlets(bottom: FrameType) -> FrameType | None:
    """Return the frame of the parent greenlet that waits for the one that ends at `bottom`.

    SQLAlchemy's asyncio runs SQL in a greenlet of its own, where the application's frames are not
    on the stack (`greenlet_spawn` in sqlalchemy/util/concurrency.py, 2.0 and 2.1).
    """
    greenlet = sys.modules.get("greenlet")
    if greenlet is None:
        return None
    parent = greenlet.getcurrent().parent
    while parent is not None:
        frame: FrameType | None = parent.gr_frame
        if frame is not None and not _reaches(frame, bottom):
            return frame
        parent = parent.parent
    return None


def _reaches(frame: FrameType | None, bottom: FrameType) -> bool:
    while frame is not None:
        if frame is bottom:
            return True
        frame = frame.f_back
    return False
