"""The grace for child tasks: what they hold open is judged when it is closed, or they are done."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from sessionwatch.records.session import SessionRecord

Task = asyncio.Task[Any]


class ChildTasks:
    """The unfinished tasks that somebody waits for; `done` is called once for each."""

    def __init__(self, done: Callable[[Task], None]) -> None:
        self._done = done
        self._awaited: weakref.WeakSet[Task] = weakref.WeakSet()

    def await_all(self, tasks: Iterable[Task]) -> None:
        """Have `done` called when each of these tasks is, if it will not be already."""
        for task in tasks:
            if task not in self._awaited:
                self._awaited.add(task)
                task.add_done_callback(self._done)


def tasks_that_hold(sessions: Iterable[SessionRecord]) -> set[Task]:
    """Return the unfinished tasks, other than the owner's, that used a session still open."""
    tasks: set[Task] = set()
    for session in sessions:
        if session.task is not None and not session.settled:
            task = session.task()
            if task is not None and not task.done():
                tasks.add(task)
    return tasks
