"""Whom what happens now belongs to."""

from __future__ import annotations

import threading
import weakref
from asyncio import Task, current_task
from asyncio.events import _get_running_loop
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any

from sessionwatch.records.owner import Owner
from sessionwatch.records.stand_in import StandIn

if TYPE_CHECKING:
    from sessionwatch.records.recorder import Recorder

current_owner: ContextVar[Owner | None] = ContextVar("sessionwatch_owner", default=None)
"""The request or job that this task or thread works for."""

Worker = int | weakref.ref[Task[Any]]
"""A thread by its identifier, or a task; `OWN_TASK` is the one that the owner began in."""

OWN_TASK: Worker = 0

_running: list[Recorder] = []
_standing: list[StandIn] = []
_lock = threading.Lock()


def add_recorder(recorder: Recorder) -> bool:
    """Let a watch record from now on; returns whether it is the first."""
    with _lock:
        _running.append(recorder)
        return len(_running) == 1


def remove_recorder(recorder: Recorder) -> bool:
    """Let a watch record no longer; returns whether it was the last."""
    with _lock:
        _running.remove(recorder)
        return not _running


def recorders() -> list[Recorder]:
    """Return the watches that record now."""
    return list(_running)


def renew_lock() -> None:
    """Take a lock that nobody holds; for a forked child."""
    global _lock
    _lock = threading.Lock()


def running_task() -> Task[Any] | None:
    """Return the asyncio task that runs in this thread, if any."""
    loop = _get_running_loop()
    return None if loop is None else current_task(loop)


def worker_now(owner: Owner) -> Worker:
    """Return who runs this for an owner: an asyncio task, or the thread where there is none."""
    loop = _get_running_loop()
    if loop is None:
        return get_ident()
    task = current_task(loop)
    if task is None:
        return get_ident()
    return OWN_TASK if task is owner.task else weakref.ref(task)


def owner_now() -> Owner | None:
    """Return the owner of what happens now: else the process, as the newest watch sees it."""
    owner = current_owner.get()
    if owner is not None:
        return owner
    try:
        newest = _running[-1]
        if _standing:
            standing = _standing[-1]
            if standing.recorder is newest and not (
                standing.bystanders and standing.is_bystander()
            ):
                return standing
        return newest.process_owner
    except IndexError:
        return None


def stand_in(owner: StandIn) -> None:
    """Have what would be the process's belong to a test or fixture, in every thread."""
    _standing.append(owner)


def step_down(owner: StandIn) -> None:
    """End what `stand_in` began, if it has not ended."""
    if owner in _standing:
        _standing.remove(owner)


def adopt(owner: Owner, outer: object) -> None:
    """Tell the test or block inside which an owner begins; `outer` was the current owner."""
    if not isinstance(outer, Owner):
        outer = _standing[-1] if _standing else None
    parent = outer if isinstance(outer, StandIn) or outer is None else outer.parent
    if parent is not None:
        owner.parent = parent
        parent.child_began(owner)


def guarded(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Keep every exception of a hook of ours away from the application, and count it."""

    def call(*arguments: Any) -> Any:
        try:
            return hook(*arguments)
        except Exception:  # noqa: BLE001
            hook_failed(hook.__name__)
            return None

    return call


def listener(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Guard what SQLAlchemy's events call: it stays when no watch runs, and does nothing then."""

    def call(*arguments: Any) -> Any:
        if not _running:
            return None
        try:
            return hook(*arguments)
        except Exception:  # noqa: BLE001
            hook_failed(hook.__name__)
            return None

    return call


def hook_failed(hook: str) -> None:
    """Tell the running watch that a hook of ours raised; call it while handling the exception."""
    for recorder in _running[-1:]:
        with suppress(Exception):
            recorder.hook_failed(hook)
