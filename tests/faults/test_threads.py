"""Two hundred threads open and close sessions while others look on and collect."""

from __future__ import annotations

import gc
import threading
from random import Random

import pytest
from sqlalchemy import select

from sessionwatch import SessionWatch, Settings

THREADS = 200
ROUNDS = 4
ONE = select(1)


def closed(session, random):
    session.execute(ONE)
    session.close()


def rolled_back(session, random):
    session.execute(ONE)
    session.rollback()
    session.close()


def used_again(session, random):
    session.close()
    session.execute(ONE)
    session.close()


def never_used(session, random):
    pass


def left(session, random):
    session.execute(ONE)
    session.info["cycle"] = session


WAYS = (closed, rolled_back, used_again, never_used, left)


@pytest.fixture
def watch():
    """A watch whose watchdog looks every quarter of a millisecond."""
    settings = Settings(log_findings=False, idle_hold_seconds=0.001, stream_hold_seconds=None)
    with SessionWatch(settings) as watch:
        yield watch


def test_two_hundred_threads(watch, make_engine, truth, unharmed, side_by_side):
    engine = make_engine(pool_size=THREADS, max_overflow=-1)
    working = threading.Semaphore(0)
    over = threading.Event()
    readings = []

    def worker(number):
        def work():
            random = Random(number)
            try:
                for _ in range(ROUNDS):
                    way = random.choice(WAYS)
                    if number % 2:
                        with watch.owner(f"job {number % 7}"):
                            way(truth.session_class(engine), random)
                    else:
                        way(truth.session_class(engine), random)
            finally:
                working.release()

        return work

    def look():
        while not over.is_set():
            readings.append(watch.snapshot().totals.counts)

    def collect():
        while not over.is_set():
            gc.collect()

    def wait():
        for _ in range(THREADS):
            working.acquire()
        over.set()

    side_by_side(*map(worker, range(THREADS)), look, look, collect, wait)
    totals = unharmed(watch, engine)
    assert totals["opened"] == THREADS * ROUNDS
    assert totals["collected"] > 0
    assert totals["closed"] > 0
    assert len(readings) > 2


def test_snapshots_never_go_back(watch, make_engine, truth, unharmed, side_by_side):
    """What is counted once stays counted, while the collector is at work in another thread."""
    engine = make_engine(pool_size=20, max_overflow=-1)
    over = threading.Event()
    steps_back = []

    def leak():
        try:
            for _ in range(25):
                for owner in ("job", None):
                    if owner is None:
                        left(truth.session_class(engine), None)
                    else:
                        with watch.owner(owner):
                            left(truth.session_class(engine), None)
                gc.collect()
        finally:
            over.set()

    def look():
        last = watch.snapshot().totals.counts
        while not over.is_set():
            now = watch.snapshot().totals.counts
            names = ("opened", "collected", "checkouts", "checkins", "statements")
            if any(getattr(now, name) < getattr(last, name) for name in names):
                steps_back.append((last, now))
            last = now

    side_by_side(leak, look)
    assert steps_back == []
    unharmed(watch, engine)


def test_one_session_in_many_threads(watch, make_engine, truth, unharmed, side_by_side):
    """Threads that close each other's sessions, of owners that are long over."""
    engine = make_engine(pool_size=20, max_overflow=-1)
    barrier = threading.Barrier(8)
    shared = []

    def opener(number):
        def work():
            for turn in range(20):
                with watch.owner(f"job {number}"):
                    session = truth.session_class(engine)
                    session.execute(ONE)
                    shared.append(session)
                barrier.wait(30)
                if number == turn % 8:
                    while shared:
                        shared.pop().close()
                barrier.wait(30)

        return work

    side_by_side(*map(opener, range(8)))
    totals = unharmed(watch, engine)
    assert totals["closed"] == totals["opened"] == 160
