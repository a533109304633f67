"""Pools that count for themselves how often a checkout waited in vain."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, QueuePool


class CountingPool(QueuePool):
    """A queue pool whose `timeouts` know of those, too, that the application caught."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.timeouts = 0
        self._counting = threading.Lock()

    def _do_get(self) -> ConnectionPoolEntry:
        # It may call itself, so that one exception can come by twice (2.0 and 2.1).
        try:
            return super()._do_get()
        except PoolTimeoutError as error:
            if not hasattr(error, "counted_by_the_lab"):
                error.counted_by_the_lab = True  # type: ignore[attr-defined]
                with self._counting:
                    self.timeouts += 1
            raise


class CountingAsyncPool(CountingPool, AsyncAdaptedQueuePool):
    """The same for an engine of asyncio."""
