"""The grace for child tasks: what they hold open is judged when it is closed, or they are done."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord

Task = asyncio.Task[Any]

_FIRST_LOOK_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 1.0


class ChildTasks:
    """The unfinished tasks and threads that somebody waits for.

    `task_done` is called once for each task; `look_again` for an owner whose sessions are in a
    thread's hands, or whose grace of `grace_seconds` (None: as long as it takes) is over.
    """

    def __init__(
        self,
        task_done: Callable[[Task], None],
        look_again: Callable[[Owner], None],
        grace_seconds: float | None,
    ) -> None:
        self._task_done = task_done
        self._look_again = look_again
        self._grace_seconds = grace_seconds
        self._awaited: weakref.WeakSet[Task] = weakref.WeakSet()
        self._deadlines: weakref.WeakKeyDictionary[Owner, asyncio.TimerHandle] = (
            weakref.WeakKeyDictionary()
        )

    def await_all(self, tasks: Iterable[Task]) -> None:
        """Have `task_done` called when each of these tasks is, if it will not be already."""
        for task in tasks:
            if task not in self._awaited:
                self._awaited.add(task)
                task.add_done_callback(self._task_done)

    def gives(self, owner: Owner, since_end_ns: int) -> bool:
        """Whether an owner that has ended is to be judged later, and see to it that it is."""
        waits = self._is_in_time(since_end_ns) and self._waits(owner, since_end_ns)
        if not waits and self._deadlines:
            self.forget(owner)
        return waits

    def forget(self, owner: Owner) -> None:
        """Wait for an owner's tasks no longer, so that its timer does not stay until its time."""
        timer = self._deadlines.pop(owner, None)
        if timer is not None:
            timer.cancel()

    def _is_in_time(self, since_end_ns: int) -> bool:
        return self._grace_seconds is None or since_end_ns < self._grace_seconds * 1e9

    def _waits(self, owner: Owner, since_end_ns: int) -> bool:
        tasks = tasks_that_hold(owner.sessions)
        if tasks:
            self.await_all(tasks)
            self._set_deadline(owner)
            return True
        return thread_holds(owner.sessions) and self._look_later(owner, since_end_ns)

    def _set_deadline(self, owner: Owner) -> None:
        if self._grace_seconds is not None and owner not in self._deadlines:
            timer = self._call_later(self._grace_seconds, owner)
            if timer is not None:
                self._deadlines[owner] = timer

    def _look_later(self, owner: Owner, since_end_ns: int) -> bool:
        """Look again after as long as has passed already, so that long work is rarely disturbed."""
        seconds = min(max(since_end_ns / 1e9, _FIRST_LOOK_SECONDS), _LONGEST_PAUSE_SECONDS)
        return self._call_later(seconds, owner) is not None

    def _call_later(self, seconds: float, owner: Owner) -> asyncio.TimerHandle | None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        return loop.call_later(seconds, self._look, weakref.ref(owner))

    def _look(self, reference: weakref.ref[Owner]) -> None:
        owner = reference()
        if owner is not None:
            self._look_again(owner)


def tasks_that_hold(sessions: Iterable[SessionRecord]) -> set[Task]:
    """Return the unfinished tasks, other than the owner's, that used a session still open."""
    tasks: set[Task] = set()
    for session in sessions:
        if session.task is not None and not session.settled:
            task = session.task()
            if task is not None and not task.done():
                tasks.add(task)
    return tasks


def thread_holds(sessions: Iterable[SessionRecord]) -> bool:
    """Whether another thread is still in the code that opened one of these sessions."""
    return any(
        session.opened_in not in (0, get_ident())
        and not session.settled
        and session.connections_out()
        and _runs_in_its_opener(session)
        for session in sessions
    )


def _runs_in_its_opener(session: SessionRecord) -> bool:
    openers = {code for code, _ in session.opened_at.raw}
    frame = sys._current_frames().get(session.opened_in)
    while frame is not None:
        if frame.f_code in openers:
            return True
        frame = frame.f_back
    return False
