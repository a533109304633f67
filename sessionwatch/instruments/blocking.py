"""Synchronous work that keeps the event loop from everything else."""

from __future__ import annotations

import sys
from asyncio.events import _get_running_loop

from sessionwatch import records
from sessionwatch.instruments.attribution import guarded
from sessionwatch.records.owner import Owner

NEVER_NS = 1 << 63
"""A threshold in nanoseconds that nothing reaches."""


@guarded
def worked_long(owner: Owner, blocked_ns: int, is_async: bool, checkout: bool) -> None:
    """Tell of work that passed the threshold, if a loop stood still for it.

    An async driver gives way to the loop. Where nobody but the process itself is at work, as at
    start-up or in a script, nobody is kept waiting.
    """
    if is_async or _get_running_loop() is None:
        return
    recorder = owner.recorder
    if owner is recorder.process_owner and not recorder.active_owners():
        return
    at, _ = recorder.capture(sys._getframe(_CALLER))
    recorder.incident(records.incident.BlockedLoop(owner, at, blocked_ns, checkout))


_CALLER = 2
