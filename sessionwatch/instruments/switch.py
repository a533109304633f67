"""Turning the instruments on with the first watch, and off with the last.

The listeners stay and do nothing: SQLAlchemy keeps those of a class in one deque, which must not
change while another thread calls them (`_EmptyListener` in sqlalchemy/event/attr.py, 2.0 and 2.1).
"""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING

from sqlalchemy import event

from sessionwatch.instruments import (
    attribution,
    engines,
    holds,
    misuse,
    session_record,
    sessions,
    statements,
)
from sessionwatch.instruments.handling import AsyncPatches
from sessionwatch.instruments.patches import Patch

if TYPE_CHECKING:
    from sessionwatch.instruments.outbound import Outbound
    from sessionwatch.records.recorder import Recorder

_PATCHES: tuple[Patch, ...] = (
    *sessions.PATCHES,
    *holds.PATCHES,
    *statements.PATCHES,
    *misuse.PATCHES,
    *engines.PATCHES,
)
_async_patches = AsyncPatches()
_LISTENERS = (*sessions.LISTENERS, *holds.LISTENERS)
_lock = threading.Lock()


def turn_on(recorder: Recorder) -> None:
    """Let `recorder` record; the first one has SQLAlchemy instrumented."""
    with _lock:
        if attribution.add_recorder(recorder):
            session_record.sessions_have_none()
            for patch in _PATCHES:
                patch.apply()
            if recorder.imports_late:
                _async_patches.apply_when_imported()
            else:
                _async_patches.apply()
            for target, name, hook in _LISTENERS:
                if not event.contains(target, name, hook):
                    event.listen(target, name, hook)
        if recorder.watches_outbound:
            _outbound().turn_on()


def turn_off(recorder: Recorder) -> None:
    """Let `recorder` record no longer; the last one puts SQLAlchemy's methods back."""
    with _lock:
        if recorder.watches_outbound:
            _outbound().turn_off()
        if attribution.remove_recorder(recorder):
            _async_patches.remove()
            for patch in reversed(_PATCHES):
                patch.remove()
            holds.forget_pools()


@functools.cache
def _outbound() -> Outbound:
    """Return what sees HTTP requests; few ask for it, and it imports what sends them."""
    from sessionwatch.instruments.outbound import Outbound

    return Outbound()


def _renew_locks() -> None:
    """Give a forked child locks of its own: those it inherits may be held by threads it has not."""
    global _lock
    _lock = threading.Lock()
    attribution.renew_lock()
    for recorder in attribution.recorders():
        recorder.renew_locks()
    for pool in holds.pool_records():
        pool.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
