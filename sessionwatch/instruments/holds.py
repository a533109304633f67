"""Connections out of their pool: checked out, returned, reclaimed, waited for in vain."""

from __future__ import annotations

import functools
import sys
import weakref
from asyncio.events import _get_running_loop
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import session as session_module
from sqlalchemy.pool import (
    ConnectionPoolEntry,
    Pool,
    PoolProxiedConnection,
    QueuePool,
    SingletonThreadPool,
)

from sessionwatch.instruments.attribution import guarded, listener, owner_now, worker_now
from sessionwatch.instruments.blocking import worked_long
from sessionwatch.instruments.misuse import checked_out_beside
from sessionwatch.instruments.patches import Patch
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import MANY_OF_ONE_OWNER, Owner
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.transaction import Outcome

_KEY = "_sessionwatch"
_SESSION_FILE = session_module.__file__
_SESSION_DEPTH = 7

_pools: dict[weakref.ref[Pool], None] = {}


def _known_pools() -> Iterator[Pool]:
    """Return the pools that are alive, whatever other threads add meanwhile, as to no `WeakSet`."""
    for reference in list(_pools):
        pool = reference()
        if pool is not None:
            yield pool


def _forget_pool(reference: weakref.ref[Pool]) -> None:
    _pools.pop(reference, None)


def pool_records() -> Iterator[PoolRecord]:
    """Return the record of every pool that is alive and was used while a watch ran."""
    for pool in _known_pools():
        record = pool.__dict__.get(_KEY)
        if record is not None:
            yield record


def pools_now() -> Iterator[PoolRecord]:
    """Return the same records, and how many connections each pool has to give without making one.

    It takes the lock of the pool's queue for a moment (`QueuePool.checkedin`, 2.0 and 2.1).
    """
    for pool in _known_pools():
        record = pool.__dict__.get(_KEY)
        if record is not None:
            record.idle = pool.checkedin() if isinstance(pool, QueuePool) else None
            yield record


def forget_pools() -> None:
    """Take our mark off every pool, and end the holds that nobody will see the end of."""
    for pool in _known_pools():
        record = pool.__dict__.pop(_KEY, None)
        for hold in list(record.holds) if record is not None else ():
            hold.returned_ns = hold.owner.recorder.clock()
            # It may come back in another thread at any moment, and has no record then.
            with suppress(AttributeError):
                hold.proxy().record_info.pop(_KEY, None)
    _pools.clear()


def hold_of(connection: Connection) -> ConnectionHold | None:
    """Return the hold of a connection, or None for one that left its pool before the watch."""
    hold: ConnectionHold | None = getattr(connection, _KEY, None)
    if hold is None or hold.returned_ns:
        hold = _find_hold(connection)
        if hold is not None:
            setattr(connection, _KEY, hold)
    return hold


def _find_hold(connection: Connection) -> ConnectionHold | None:
    # None if it is closed or invalidated; `connection.connection` would then connect again.
    hold: ConnectionHold | None = getattr(connection._dbapi_connection, _KEY, None)
    if hold is None or hold.returned_ns:
        return None
    if hold.pool.naming is None:
        hold.pool.naming = functools.partial(display_url, connection.engine.url)
    return hold


def display_url(url: URL) -> str:
    """Return an engine's URL without user, password and options."""
    return url._replace(username=None, password=None, query={}).render_as_string()  # type: ignore[arg-type]


def _pool_record(pool: Pool) -> PoolRecord:
    record: PoolRecord | None = pool.__dict__.get(_KEY)
    if record is None:
        size = getattr(pool, "size", None)
        record = PoolRecord(
            class_name=type(pool).__name__,
            size=size() if callable(size) else size,
            max_overflow=getattr(pool, "_max_overflow", None),
        )
        record = pool.__dict__.setdefault(_KEY, record)
        _pools[weakref.ref(pool, _forget_pool)] = None
    return record


@guarded
def checked_out(
    pool: Pool, proxy: PoolProxiedConnection, owner: Owner, since_ns: int, was_full: bool
) -> None:
    """Begin a hold; called when `Pool.connect` has returned."""
    information = proxy.record_info
    if information is None:
        return
    recorder = owner.recorder
    if recorder.only is not None and not recorder.only.pool(pool):
        return
    holds = information.get(_KEY)
    if holds is None:
        holds = information.setdefault(_KEY, [])
    if holds:
        end_unnoticed(holds)
        holds[:] = [hold for hold in holds if not hold.returned_ns]
        if any(hold.proxy() is proxy for hold in holds):
            return
    record = _pool_record(pool)
    if record.holds:
        checked_out_beside(record, owner, waiting=False)
    stack = None if _session_checks_out() else recorder.capture(sys._getframe(3))[0]
    now_ns = recorder.clock()
    hold = ConnectionHold(owner, record, weakref.ref(proxy), now_ns, stack, worker_now(owner))
    holds.append(hold)
    setattr(proxy, _KEY, hold)
    record.taken(hold)
    if stack is not None:
        owner.holds[hold] = None
        if owner is recorder.process_owner or len(owner.holds) > MANY_OF_ONE_OWNER:
            recorder.tidy()
    waited_ns = now_ns - since_ns
    if was_full:
        _note_wait(owner, record, waited_ns)
    if waited_ns >= recorder.loop_blocked_ns:
        worked_long(owner, waited_ns, pool._dialect.is_async, True)


def _note_wait(owner: Owner, record: PoolRecord, waited_ns: int) -> None:
    """Count a wait; one in a worker thread is told of when the owner is over."""
    record.waited(waited_ns)
    if _get_running_loop() is None and owner is not owner.recorder.process_owner:
        owner.waited_for = record


def _session_checks_out() -> bool:
    """Whether a session takes the connection, so that its own opening says where it was.

    Asks for a single frame, as making each frame's object is what costs: the caller of
    `Engine.connect`, seventh from here (2.0 and 2.1). Should somebody else stand between, the
    session claims the connection when it begins to use it.
    """
    try:
        return sys._getframe(_SESSION_DEPTH).f_code.co_filename == _SESSION_FILE
    except ValueError:
        return False


@listener
def returned(dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:
    """End a hold.

    Runs in the garbage collector too, in whichever thread that is: no lock is taken. The proxy is
    dead then; a static pool's entry has several holds, and the one that is just ending is meant.
    """
    information = entry.record_info
    holds: list[ConnectionHold] = information.get(_KEY, []) if information is not None else []
    if not holds:
        return
    if len(holds) == 1:
        hold = holds.pop()
    else:
        hold = _ending(holds)
        holds.remove(hold)
    if not hold.returned_ns:
        hold.give_back(hold.owner.recorder.clock(), hold.proxy() is None)


def end_unnoticed(holds: list[ConnectionHold]) -> None:
    """End those holds that are over and for which no event came.

    The connections of a static pool share one entry, and only the first that is returned sends a
    check-in (`_ConnectionRecord.checkin` in sqlalchemy/pool/base.py, 2.0 and 2.1).
    """
    for hold in list(holds):
        proxy = hold.proxy()
        if not hold.returned_ns and (proxy is None or not proxy.is_valid):
            hold.give_back(hold.owner.recorder.clock(), reclaimed=False)


def _ending(holds: list[ConnectionHold]) -> ConnectionHold:
    for hold in holds:
        if hold.returned_ns or hold.proxy() is None:
            return hold
    for hold in reversed(holds):
        session = hold.session
        transaction = session.transaction if session is not None else None
        if transaction is not None and session is not None:
            over = transaction.rollback_seen or transaction.outcome is not Outcome.OPEN
            if over or session.closed_ns:
                return hold
    return holds[-1]


@guarded
def timed_out(pool: Pool, owner: Owner, since_ns: int) -> None:
    """Report that nobody returned a connection in time."""
    recorder = owner.recorder
    if recorder.only is not None and not recorder.only.pool(pool):
        return
    stack, _ = recorder.capture(sys._getframe(3))
    record, waited_ns = _pool_record(pool), recorder.clock() - since_ns
    _note_wait(owner, record, waited_ns)
    recorder.pool_timed_out(owner, record, waited_ns, stack)
    checked_out_beside(record, owner, waiting=True)
    if waited_ns >= recorder.loop_blocked_ns:
        worked_long(owner, waited_ns, pool._dialect.is_async, True)


@listener
def invalidated(dbapi_connection: Any, entry: ConnectionPoolEntry, error: Any) -> None:
    """Note that a connection is thrown away, as nobody can tell the state that it is in."""
    for hold in entry.record_info.get(_KEY, ()):  # type: ignore[union-attr]
        hold.terminated = True


@guarded
def is_full(pool: QueuePool) -> bool:
    """Whether all that a pool may give is out, or being made for somebody else.

    It takes the lock of the pool's queue, and is asked only when no overflow is left: a pool
    counts that from minus its size up (`QueuePool._overflow`, 2.0 and 2.1).
    """
    most = pool._max_overflow
    return most >= 0 and pool.checkedout() >= pool.size() + most


@guarded
def wait_began(pool: QueuePool, owner: Owner) -> PoolRecord | None:
    """Count somebody who waits, from now on, in the pool whose record is returned, if any is."""
    only = owner.recorder.only
    if only is not None and not only.pool(pool):
        return None
    record = _pool_record(pool)
    record.wait_began()
    return record


def _wrap_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def connect(self: Any) -> Any:
        owner = owner_now()
        if owner is None:
            return original(self)
        since_ns = owner.recorder.clock()
        overflow = self.__dict__.get("_overflow")
        was_full = overflow is not None and overflow >= self._max_overflow and is_full(self)
        waits_in = wait_began(self, owner) if was_full else None
        try:
            proxy = original(self)
        except PoolTimeoutError:
            timed_out(self, owner, since_ns)
            raise
        finally:
            if waits_in is not None:
                waits_in.wait_ended()
        checked_out(self, proxy, owner, since_ns, was_full)
        return proxy

    return connect


PATCHES = (
    Patch(Pool, "connect", _wrap_connect),
    Patch(SingletonThreadPool, "connect", _wrap_connect),
)
LISTENERS = (
    (Pool, "checkin", returned),
    (Pool, "detach", returned),
    (Pool, "invalidate", invalidated),
)
