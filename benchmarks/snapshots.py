"""How long a snapshot of very many open sessions takes, and what it holds up (in the child)."""

import statistics
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.holding import open_sessions

if TYPE_CHECKING:
    from benchmarks.child import Stage

_LOCKS = (type(threading.Lock()), type(threading.RLock()))


class TimedLock:
    """A lock that remembers how long it was held, and waited for, at most, in seconds."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._since: list[float] = []
        self.held = self.waited = 0.0

    def __enter__(self) -> None:
        asked = time.perf_counter()
        self._lock.acquire()
        now = time.perf_counter()
        self._since.append(now)
        self.waited = max(self.waited, now - asked)

    def __exit__(self, *exception: object) -> None:
        self.held = max(self.held, time.perf_counter() - self._since.pop())
        self._lock.release()


def measure(stage: "Stage", sessions: int, times: int) -> dict[str, float]:
    """Take snapshots while another thread uses sessions; everything is in seconds.

    What a snapshot holds up is the longest wait for a lock of the watch's own. The thread's longest
    pause includes its waits for the interpreter, of which any thread that computes lets go only
    every 5 ms (`sys.getswitchinterval`), and whatever else runs on the machine.
    """
    watch = stage.attached.watch
    assert watch is not None
    locks = time_locks(watch)
    with ExitStack() as owners:
        held = open_sessions(stage, owners, stage.application.engine, sessions)
        alone = [_duration(watch, sessions) for _ in range(times)]
        with Hot(stage) as hot:
            time.sleep(sum(alone))
            undisturbed = hot.take_longest()
            for lock in locks:
                lock.held = lock.waited = 0.0
            beside = [_duration(watch, sessions) for _ in range(times)]
            disturbed = hot.take_longest()
        for session in held:
            session.close()
    return {
        "median": statistics.median(alone),
        "longest": max(alone),
        "median_beside_work": statistics.median(beside),
        "lock_waited": max(lock.waited for lock in locks),
        "lock_held": max(lock.held for lock in locks),
        "pause": disturbed,
        "pause_without": undisturbed,
    }


def time_locks(watch: Any) -> list[TimedLock]:
    """Replace every lock of a watch and of its parts by one that is timed."""
    parts = [part for part in vars(watch).values() if hasattr(part, "__dict__")]
    timed = []
    for holder in (watch, *parts):
        if type(holder).__module__.startswith("sessionwatch"):
            for name, value in vars(holder).items():
                if isinstance(value, _LOCKS):
                    timed.append(TimedLock(value))
                    setattr(holder, name, timed[-1])
    return timed


def _duration(watch: Any, sessions: int) -> float:
    started = time.perf_counter()
    snapshot = watch.snapshot()
    seconds = time.perf_counter() - started
    assert len(snapshot.open_sessions) >= sessions
    return seconds


class Hot:
    """A thread that opens, uses and closes sessions all the time, each for an owner of its own."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self._longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Hot":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def take_longest(self) -> float:
        """Return the longest that one round took since this was last asked."""
        longest, self._longest = self._longest, 0.0
        return longest

    def _work(self) -> None:
        before = time.perf_counter()
        while not self._over.is_set():
            with self._stage.owner(), self._stage.application.create_session() as session:
                session.connection()
            now = time.perf_counter()
            self._longest = max(self._longest, now - before)
            before = now
