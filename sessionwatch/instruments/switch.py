"""Turning the instruments on with the first watch, and off with the last."""

from __future__ import annotations

import os
import threading

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
from sessionwatch.instruments.handling import async_patches
from sessionwatch.instruments.outbound import Outbound
from sessionwatch.instruments.patches import ClassAttribute, Patch
from sessionwatch.records.recorder import Recorder

_PATCHES: tuple[Patch | ClassAttribute, ...] = (
    session_record.UNKNOWN,
    *sessions.PATCHES,
    *holds.PATCHES,
    *statements.PATCHES,
    *misuse.PATCHES,
    *engines.PATCHES,
)
_LISTENERS = (*sessions.LISTENERS, *holds.LISTENERS)
_outbound = Outbound()
_lock = threading.Lock()


def turn_on(recorder: Recorder) -> None:
    """Let `recorder` record; the first one has SQLAlchemy instrumented."""
    with _lock:
        if attribution.add_recorder(recorder):
            for patch in (*_PATCHES, *async_patches()):
                patch.apply()
            for target, name, listener in _LISTENERS:
                event.listen(target, name, listener)
        if recorder.watches_outbound:
            _outbound.turn_on()


def turn_off(recorder: Recorder) -> None:
    """Let `recorder` record no longer; the last one leaves SQLAlchemy as it was."""
    with _lock:
        if recorder.watches_outbound:
            _outbound.turn_off()
        if attribution.remove_recorder(recorder):
            for target, name, listener in _LISTENERS:
                event.remove(target, name, listener)
            for patch in reversed((*_PATCHES, *async_patches())):
                patch.remove()
            holds.forget_pools()


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
