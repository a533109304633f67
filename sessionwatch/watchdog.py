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

    A forked child, which inherits no thread, gets one of its own; no look is under way during a
    fork, so that the child inherits no lock that is held for good.
    """

    _alive: ClassVar[weakref.WeakSet[Watchdog]] = weakref.WeakSet()
    _looking: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, look: Callable[[], None], threshold_seconds: float) -> None:
        self._look = look
        self._interval_seconds = threshold_seconds / _LOOKS_PER_THRESHOLD
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stopped,), name="sessionwatch-watchdog", daemon=True
        )
        self._alive.add(self)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when the thread has ended, unless it is the one that asks."""
        self._alive.discard(self)
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self._thread = None

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._interval_seconds):
            with self._looking:
                if not stopped.is_set():
                    self._look()

    @classmethod
    def _restart_in_child(cls) -> None:
        cls._looking = threading.RLock()
        for watchdog in list(cls._alive):
            watchdog.start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: Watchdog._looking.acquire(),
        after_in_parent=lambda: Watchdog._looking.release(),
        after_in_child=Watchdog._restart_in_child,
    )
