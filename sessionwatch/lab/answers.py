"""What the client of a request, or the clients of a burst, were told."""

from __future__ import annotations

from dataclasses import dataclass


def is_success(status: int | None) -> bool:
    """Whether a status tells the client that its request succeeded."""
    return status is not None and 200 <= status < 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client of one request was told; `status` is None when no answer came."""

    status: int | None
    complete: bool
    """Whether the whole body arrived."""


@dataclass(slots=True)
class BurstAnswer:
    """What the clients of a burst were told."""

    failing: int
    """Requests of the burst; each of them should be told 400."""
    failing_refused: int
    good: int
    """Good requests sent right after the burst, before the garbage collector ran."""
    good_refused: int
    recovery_seconds: float | None = None
    """From the end of the burst until a whole round of good requests was served; None if never."""

    @property
    def refused(self) -> int:
        """Requests that a server with free connections would have served."""
        return self.failing_refused + self.good_refused
