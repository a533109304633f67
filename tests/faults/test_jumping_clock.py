"""Clocks that jump: numbers of seconds may be odd then, numbers of sessions may not."""

from __future__ import annotations

import gc
import json
import math
from random import Random

import pytest
from sqlalchemy import select

from sessionwatch import SessionWatch, Settings

ONE = select(1)
YEAR_NS = 365 * 86_400 * 1_000_000_000


class Jumping:
    """Goes on, stands still, or jumps back and forth by up to a year at each look."""

    def __init__(self, seed):
        self._random = Random(seed)
        self._now_ns = 10 * YEAR_NS

    def __call__(self):
        jumps = (0, 1, 1_000_000, -1_000_000, YEAR_NS, -YEAR_NS)
        self._now_ns = max(1, self._now_ns + self._random.choice(jumps))
        return self._now_ns

    def wall(self):
        """A wall clock that was set wrong, also to before the epoch."""
        return self._random.choice([-1e9, 0.0, 9e9, 1.5])


def closed(session):
    session.execute(ONE)
    session.close()


def committed(session):
    session.execute(ONE)
    session.commit()
    session.close()


def left(session):
    session.execute(ONE)
    session.info["cycle"] = session


def again(session):
    session.close()
    session.execute(ONE)
    session.close()


WAYS = (closed, committed, left, again)


@pytest.mark.parametrize("seed", range(8))
def test_clock_that_jumps(engine, truth, unharmed, seed):
    clock, random = Jumping(seed), Random(seed)
    settings = Settings(log_findings=False, stream_hold_seconds=0.001)
    with SessionWatch(settings, clock=clock, wall_clock=clock.wall) as watch:
        for number in range(60):
            way = random.choice(WAYS)
            if number % 2:
                with watch.owner(f"job {number % 3}"):
                    way(truth.session_class(engine))
            else:
                way(truth.session_class(engine))
            watch.inspect_connections()
            if way is left:
                gc.collect()
            snapshot = watch.snapshot()
            json.dumps(snapshot.to_dict(), allow_nan=False)
        with engine.connect() as connection:
            connection.execute(ONE)
        totals = unharmed(watch, engine)
        assert totals["collected"] > 0
        assert totals["closed"] > 0
        assert all(math.isfinite(totals[name]) for name in ("held_seconds", "idle_seconds"))


def test_clock_that_stands_still(engine, truth, unharmed):
    with SessionWatch(Settings(log_findings=False), clock=lambda: 1) as watch:
        for way in WAYS:
            with watch.owner("job"):
                way(truth.session_class(engine))
            way(truth.session_class(engine))
            gc.collect()
        totals = unharmed(watch, engine)
    assert totals["held_seconds"] == 0
