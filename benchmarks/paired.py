"""What the middleware costs while its watch is not started, in one process (in the child).

Two processes differ by more than that. Here every other request goes through the middleware to the
very same application: all else is equal.
"""

import statistics
import time
from typing import TYPE_CHECKING, Any

from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings

if TYPE_CHECKING:
    from benchmarks.child import Stage


async def measure(stage: "Stage", scope: dict[str, Any], pairs: int) -> float:
    """Return the ratio of the medians of single requests, in processor time of the thread."""
    bare = stage.application.app
    disabled = SessionWatchMiddleware(bare, SessionWatch(Settings()))
    nanoseconds: tuple[list[int], list[int]] = ([], [])
    for number in range(pairs):
        # Whoever goes first may find the processor in another state.
        for which in (0, 1) if number % 2 else (1, 0):
            app = (bare, disabled)[which]
            started = time.thread_time_ns()
            await app(dict(scope), _receive, _send)
            nanoseconds[which].append(time.thread_time_ns() - started)
    return statistics.median(nanoseconds[1]) / statistics.median(nanoseconds[0])


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:
    pass
