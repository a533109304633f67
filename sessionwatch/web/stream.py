"""The report again and again, as server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

STREAM_SECONDS = 4.0
"""A browser connects again at once. A server that shuts down waits for streams to end."""

_INTERVAL_SECONDS = 0.5
_SHARE_OF_TIME = 0.1
"""No more of the time than this is spent on one client."""


async def events(
    first: str, read: Callable[[], Awaitable[str]], clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[str]:
    """Yield `first`, and what `read` returns from then on, each one line of JSON, as events."""
    began = clock()
    text, took = first, 0.0
    yield "retry: 100\n\n"
    while True:
        yield f"data: {text}\n\n"
        await anyio.sleep(max(_INTERVAL_SECONDS, took / _SHARE_OF_TIME))
        asked = clock()
        if asked - began >= STREAM_SECONDS:
            return
        text = await read()
        took = clock() - asked
