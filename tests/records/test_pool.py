"""A pool's record: who holds its connections, in numbers and in words."""

from __future__ import annotations

import weakref

import pytest

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.pool import PoolRecord


class _Something:
    pass


SOMETHING = _Something()


def _pool(size=5, max_overflow=10):
    return PoolRecord("QueuePool", size, max_overflow)


@pytest.fixture
def make_hold(watch, clock):
    def make(pool):
        hold = ConnectionHold(watch.process_owner, pool, weakref.ref(SOMETHING), clock(), None)
        pool.taken(hold)
        return hold

    return make


@pytest.mark.parametrize(
    ("size", "max_overflow", "capacity", "usage"),
    [
        (5, 10, 15, "1 of 15 in use"),
        (5, 0, 5, "1 of 5 in use"),
        (5, -1, None, "1 in use"),
        (None, None, None, "1 in use"),
    ],
)
def test_usage_in_words(make_hold, size, max_overflow, capacity, usage):
    pool = _pool(size, max_overflow)
    make_hold(pool)
    assert (pool.capacity, pool.usage) == (capacity, usage)


def test_totals(make_hold, clock):
    pool = _pool()
    first, second = make_hold(pool), make_hold(pool)
    clock.advance(2)
    first.give_back(clock(), reclaimed=False)
    assert pool.totals() == (2, 1, 2_000_000_000)
    clock.advance(1)
    second.give_back(clock(), reclaimed=True)
    assert pool.totals() == (2, 2, 5_000_000_000)
    assert pool.usage == "0 of 15 in use"


def test_hold_that_comes_back_twice_counts_once(make_hold, clock):
    pool = _pool()
    hold = make_hold(pool)
    pool.returned(hold)
    pool.returned(hold)
    assert pool.totals()[:2] == (1, 1)


def test_returns_are_summed_up_now_and_then(make_hold, clock):
    pool = _pool()
    for _ in range(2000):
        make_hold(pool).give_back(clock(), reclaimed=False)
    assert len(pool._returned) < 300
    assert pool.totals()[:2] == (2000, 2000)
