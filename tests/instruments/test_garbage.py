"""Sessions that only the garbage collector ends, in whichever thread it runs."""

from __future__ import annotations

import gc
import threading
import warnings

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, StaticPool

from sessionwatch.instruments import attribution, switch
from sessionwatch.instruments.holds import pool_records


@pytest.fixture
def no_automatic_collection():
    gc.disable()
    yield
    gc.enable()


def test_collected_session_is_counted_as_that(seen, make_session, tally, models, rows):
    """SQLAlchemy itself says nothing: the pool's check-in fires, the Engine's rollback does not."""
    session = make_session()
    session.add(models.Item(name="a"))
    session.flush()
    del session
    gc.collect()
    assert (tally["checkins"], tally["rollback"]) == (1, 0)
    assert seen.counts("opened", "closed", "collected", "open", "discarded", "checkins") == {
        "opened": 1,
        "closed": 0,
        "collected": 1,
        "open": 0,
        "discarded": 1,
        "checkins": 1,
    }
    assert rows() == 0
    assert seen.codes == ["SW103"]


def test_collected_session_is_counted_while_its_owner_goes_on(watch, seen, make_session, models):
    with watch.owner("job"):
        session = make_session()
        session.add(models.Item(name="a"))
        session.flush()
        del session
        gc.collect()
        assert seen.counts("collected", "discarded") == {"collected": 1, "discarded": 1}
    assert seen.counts("collected", "discarded") == {"collected": 1, "discarded": 1}


def test_collected_session_that_held_nothing(seen, make_session):
    make_session().commit()
    gc.collect()
    assert seen.counts("opened", "collected", "checkouts") == {
        "opened": 1,
        "collected": 1,
        "checkouts": 0,
    }
    assert seen.codes == []


def test_closed_session_is_closed_and_not_collected(seen, make_session):
    with make_session() as session:
        session.execute(select(1))
    del session
    gc.collect()
    assert seen.counts("closed", "collected") == {"closed": 1, "collected": 0}


def test_reference_counting_does_not_return_a_connection_in_transaction(
    seen, make_session, no_automatic_collection
):
    session = make_session()
    session.execute(select(1))
    del session
    assert seen.pool["checked_out"] == 1
    gc.collect()
    assert seen.pool["checked_out"] == 0


@pytest.mark.parametrize("pool_class", [AsyncAdaptedQueuePool, NullPool, StaticPool])
def test_collected_async_session(watch, seen, run_async, models, rows, pool_class):
    """For async drivers SQLAlchemy detaches the connection: there is no check-in."""
    from sqlalchemy.ext.asyncio import AsyncSession

    async def leak(engine):
        session = AsyncSession(engine)
        session.add(models.Item(name="a"))
        await session.flush()

    async def body(engine):
        with watch.owner("job"):
            await leak(engine)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                gc.collect()
            assert [warning.category for warning in caught] == [SAWarning]

    run_async(body, poolclass=pool_class)
    assert seen.counts("opened", "collected", "discarded", "checkouts", "checkins") == {
        "opened": 1,
        "collected": 1,
        "discarded": 1,
        "checkouts": 1,
        "checkins": 1,
    }
    assert sum(pool["checked_out"] for pool in seen.snapshot.pools) == 0
    assert rows() == 0
    assert seen.codes == ["SW103"]


def _locks(watch):
    return {
        "ledger": watch._ledger._lock,
        "watch": watch._starts_lock,
        "recorders": attribution._lock,
        "switch": switch._lock,
        "pool": next(pool_records())._lock,
    }


@pytest.mark.parametrize("lock", ["ledger", "watch", "recorders", "switch", "pool"])
@pytest.mark.parametrize("kind", ["session", "core connection", "core cycle"])
def test_collection_in_a_thread_that_holds_our_lock(
    watch, seen, engine, make_session, no_automatic_collection, lock, kind
):
    """The collector runs at any allocation, also while our lock is held by that very thread."""

    def leak():
        if kind == "session":
            session = make_session()
            session.execute(select(1))
        else:
            connection = engine.connect()
            connection.execute(select(1))
            if kind == "core cycle":
                cycle = [connection]
                cycle.append(cycle)

    def collect():
        with _locks(watch)[lock]:
            leak()
            gc.collect()

    make_session().execute(select(1))
    gc.collect()
    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), f"deadlock: the collector waits for the {lock} lock"
    assert engine.pool.checkedout() == 0
    assert seen.pool["checked_out"] == 0
    assert seen.counts("checkouts", "checkins") == {"checkouts": 2, "checkins": 2}


def test_collection_at_every_allocation_in_many_threads(watch, seen, make_engine, models):
    """Four threads open, close and leak while the collector runs as often as it can."""
    rounds = 40
    engine = make_engine(pool_size=4 * rounds)

    def work(number):
        for turn in range(rounds):
            session = Session(engine)
            session.execute(select(1))
            if turn % 4 != number:
                session.close()
            del session
            if turn % 8 == 0:
                gc.collect()

    thresholds = gc.get_threshold()
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    gc.set_threshold(5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        gc.set_threshold(*thresholds)
    assert not any(thread.is_alive() for thread in threads)
    gc.collect()
    assert seen.counts("opened", "closed", "collected", "checkouts", "checkins", "open") == {
        "opened": 4 * rounds,
        "closed": 3 * rounds,
        "collected": rounds,
        "checkouts": 4 * rounds,
        "checkins": 4 * rounds,
        "open": 0,
    }
    assert seen.pool["checked_out"] == 0


def test_snapshot_while_sessions_come_and_go(watch, seen, make_engine):
    engine = make_engine(pool_size=20, max_overflow=0, pool_timeout=20)
    done = threading.Event()
    failures = []

    def work():
        while not done.is_set():
            with Session(engine) as session:
                session.execute(text("SELECT 1"))

    def read():
        opened = 0
        try:
            for _ in range(200):
                totals = seen.totals
                assert 0 <= totals["open"] <= 2
                assert totals["opened"] >= opened
                assert 0 <= totals["checkouts"] - totals["checkins"] <= 2
                opened = totals["opened"]
        except AssertionError as error:
            failures.append(error)
        finally:
            done.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    threads.append(threading.Thread(target=read, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
