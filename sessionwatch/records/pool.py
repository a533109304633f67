"""What was seen of one connection pool."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionwatch.records.connection import ConnectionHold

_RETURNS_BETWEEN_SUMS = 256
_SAMPLES_KEPT = 120


class PoolRecord:
    """A pool, who holds its connections now, and what it went through."""

    __slots__ = (
        "__weakref__",
        "_checkins",
        "_held_ns",
        "_lock",
        "_returned",
        "class_name",
        "history",
        "holds",
        "idle",
        "max_overflow",
        "naming",
        "size",
        "timeouts",
        "waited_ns",
        "waiting",
        "waits",
    )

    def __init__(
        self,
        class_name: str,
        size: int | None,
        max_overflow: int | None,
    ) -> None:
        self.naming: Callable[[], str] | None = None
        """Tells its name, once a statement has shown whose pool it is."""
        self.class_name = class_name
        self.size = size
        self.max_overflow = max_overflow
        self.holds: dict[ConnectionHold, None] = {}
        self.timeouts = self.waits = self.waited_ns = 0
        self.waiting = 0
        self.idle: int | None = None
        self.history: deque[tuple[int, int, int]] = deque(maxlen=_SAMPLES_KEPT)
        self._checkins = 0
        self._held_ns = 0
        self._returned: deque[int] = deque()
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """The engine's URL without user and password, or the class where that is not known."""
        return self.class_name if self.naming is None else self.naming()

    @property
    def capacity(self) -> int | None:
        """How many connections can be out at once, or None where there is no limit."""
        if self.size is None or self.max_overflow is None or self.max_overflow < 0:
            return None
        return self.size + self.max_overflow

    @property
    def overflow(self) -> int | None:
        """How many connections are out beyond the pool's size, or None where it has none."""
        return None if self.size is None else max(0, len(self.holds) - self.size)

    @property
    def usage(self) -> str:
        """In words, how many connections are out: "2 of 5 in use"."""
        used = len(self.holds)
        return f"{used} in use" if self.capacity is None else f"{used} of {self.capacity} in use"

    def taken(self, hold: ConnectionHold) -> None:
        """Note a checkout; sums up past returns now and then, which keeps memory flat."""
        self.holds[hold] = None
        if len(self._returned) > _RETURNS_BETWEEN_SUMS:
            self._sum_returns()

    def waited(self, waited_ns: int) -> None:
        """Count a checkout that began when the pool had nothing left to give."""
        with self._lock:
            self.waits += 1
            self.waited_ns += waited_ns

    def wait_began(self) -> None:
        """Count who waits for a connection, until `wait_ended`."""
        with self._lock:
            self.waiting += 1

    def wait_ended(self) -> None:
        """Count one less who waits."""
        with self._lock:
            self.waiting -= 1

    def sample(self, now_ns: int) -> None:
        """Remember how many connections are out, and how many wait for one; the oldest go first."""
        self.history.append((now_ns, len(self.holds), self.waiting))

    def returned(self, hold: ConnectionHold) -> None:
        """Note a return; atomic steps only, as the garbage collector calls it anywhere."""
        if self.holds.pop(hold, _ABSENT) is None:
            self._returned.append(hold.returned_ns - hold.checked_out_ns)

    def renew_lock(self) -> None:
        """Take a lock that nobody holds; for a forked child."""
        self._lock = threading.RLock()

    def totals(self) -> tuple[int, int, int]:
        """Return checkouts, checkins and the nanoseconds that returned connections were held."""
        self._sum_returns()
        with self._lock:
            return self._checkins + len(self.holds), self._checkins, self._held_ns

    def _sum_returns(self) -> None:
        with self._lock:
            while self._returned:
                held_ns = self._returned.popleft()
                self._held_ns += held_ns
                self._checkins += 1


_ABSENT = object()
