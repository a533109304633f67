"""The grace for child tasks: an owner is judged when those that hold its sessions are done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from sessionwatch.records.session import SessionRecord


def tasks_that_hold(sessions: Iterable[SessionRecord]) -> list[asyncio.Task[Any]]:
    """Return the unfinished tasks, other than the owner's, that opened a session still open."""
    tasks = []
    for session in sessions:
        if session.task is not None and not session.settled:
            task = session.task()
            if task is not None and not task.done():
                tasks.append(task)
    return tasks


def call_when_done(tasks: list[asyncio.Task[Any]], judge: Callable[[], None]) -> None:
    """Call `judge` when all tasks are done: at once, if there are none."""
    waiting = set(tasks)

    def done(task: asyncio.Task[Any]) -> None:
        waiting.discard(task)
        if not waiting:
            judge()

    for task in tasks:
        task.add_done_callback(done)
    if not tasks:
        judge()
