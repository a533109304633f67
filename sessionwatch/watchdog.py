"""One thread that looks at the connections that are out, while there is something to look for."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import ClassVar

_LOOKS_PER_THRESHOLD = 4


class Watchdog:
    """Calls `look` four times per `threshold_seconds`, from `start` to `stop`.

    Its thread pauses while the process forks: the child inherits no lock that is held for good, and
    Python 3.12 and later warn of a fork beside a thread. A forked child gets one of its own.
    """

    _alive: ClassVar[weakref.WeakSet[Watchdog]] = weakref.WeakSet()
    _forking: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, look: Callable[[], None], threshold_seconds: float) -> None:
        self._look = look
        self._interval_seconds = threshold_seconds / _LOOKS_PER_THRESHOLD
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        with self._forking:
            self._alive.add(self)
            self._begin()

    def stop(self) -> None:
        """Look no more; returns when the thread has ended, unless it is the one that asks."""
        with self._forking:
            self._alive.discard(self)
        self._end()

    def _begin(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stopped,), name="sessionwatch-watchdog", daemon=True
        )
        self._thread.start()

    def _end(self) -> None:
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self._thread = None

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._interval_seconds):
            self._look()

    @classmethod
    def _pause(cls) -> None:
        cls._forking.acquire()
        for watchdog in list(cls._alive):
            watchdog._end()

    @classmethod
    def _go_on(cls) -> None:
        """Go on in the parent and in the child, whose only thread is the one that took the lock."""
        try:
            for watchdog in list(cls._alive):
                watchdog._begin()
        finally:
            cls._forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=Watchdog._pause,
        after_in_parent=Watchdog._go_on,
        after_in_child=Watchdog._go_on,
    )
