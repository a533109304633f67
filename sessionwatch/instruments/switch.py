"""Turning the instruments on with the first watch, and off with the last."""

from __future__ import annotations

import threading

from sqlalchemy import event

from sessionwatch.instruments import attribution, engines, holds, misuse, sessions, statements
from sessionwatch.instruments.handling import async_patches
from sessionwatch.instruments.outbound import Outbound
from sessionwatch.records.recorder import Recorder

_PATCHES = (
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
