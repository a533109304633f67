"""Connections out of their pools, of every class of pool, and how they come back."""

from __future__ import annotations

import gc

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import (
    AssertionPool,
    NullPool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from sessionwatch.instruments.holds import display_url

ONE = select(1)
POOLS = [QueuePool, NullPool, StaticPool, SingletonThreadPool, AssertionPool]
POOLS_FOR_TWO = [QueuePool, NullPool, StaticPool, SingletonThreadPool]


def _in_and_out(seen):
    return seen.counts("checkouts", "checkins")


@pytest.mark.parametrize("pool_class", POOLS)
def test_session_gives_its_connection_back(seen, make_engine, make_tally, pool_class):
    engine = make_engine(poolclass=pool_class)
    tally = make_tally(engine)
    for _ in range(3):
        with Session(engine) as session:
            session.execute(ONE)
            assert seen.pool["checked_out"] == 1
    assert _in_and_out(seen) == {"checkouts": 3, "checkins": 3}
    assert (tally["checkouts"], tally["checkins"]) == (3, 3)
    assert seen.pool["checked_out"] == 0
    assert seen.pool["class"] == pool_class.__name__


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first first", "last first"])
@pytest.mark.parametrize("pool_class", POOLS_FOR_TWO)
def test_two_sessions_at_once(watch, seen, make_engine, pool_class, order):
    """A static pool lends one connection twice; a thread's own pool counts its borrowers."""
    engine = make_engine(poolclass=pool_class)
    with watch.owner("job"):
        sessions = [Session(engine), Session(engine)]
        for session in sessions:
            session.execute(ONE)
        for number in order:
            sessions[number].close()
    totals = _in_and_out(seen)
    assert totals["checkouts"] == totals["checkins"]
    assert totals["checkouts"] == (1 if pool_class is SingletonThreadPool else 2)
    assert seen.pool["checked_out"] == 0
    assert seen.codes == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first first", "last first"])
def test_static_pool_tells_which_of_two_sessions_leaked(watch, seen, make_engine, order):
    engine = make_engine(poolclass=StaticPool)
    closed, leaked = order
    with watch.owner("job"):
        sessions = [Session(engine), Session(engine)]
        for session in sessions:
            session.execute(ONE)
        sessions[closed].close()
    finding = seen.only_finding("SW101")
    assert finding["details"]["connections_out"] == 1
    assert seen.pool["checked_out"] == 1
    sessions[leaked].close()
    assert seen.pool["checked_out"] == 0


def test_static_pool_is_not_misled_by_a_savepoint(watch, seen, make_engine):
    """The session whose savepoint was rolled back is not the one that is returning."""
    engine = make_engine(poolclass=StaticPool)
    with watch.owner("job"):
        closed, leaked = Session(engine), Session(engine)
        closed.execute(ONE)
        leaked.execute(ONE)
        leaked.begin_nested().rollback()
        closed.close()
    assert seen.only_finding("SW101")["details"]["connections_out"] == 1
    leaked.close()
    assert seen.pool["checked_out"] == 0


def test_static_pool_and_core_connections(watch, seen, make_engine):
    engine = make_engine(poolclass=StaticPool)
    with watch.owner("job"):
        for _ in range(3):
            with engine.connect() as first, engine.connect() as second:
                first.execute(ONE)
                second.execute(ONE)
        with engine.connect() as connection:
            connection.execute(ONE)
    assert _in_and_out(seen) == {"checkouts": 7, "checkins": 7}
    assert seen.pool["checked_out"] == 0
    assert seen.codes == []


def test_static_pool_over_and_over_keeps_nothing(seen, make_engine):
    engine = make_engine(poolclass=StaticPool)
    for _ in range(50):
        first, second = Session(engine), Session(engine)
        first.execute(ONE)
        second.execute(ONE)
        first.close()
        second.close()
    assert seen.pool["checked_out"] == 0
    assert _in_and_out(seen) == {"checkouts": 100, "checkins": 100}


@pytest.mark.parametrize("pool_class", POOLS)
def test_collected_session_gives_its_connection_back(watch, seen, make_engine, pool_class):
    engine = make_engine(poolclass=pool_class)
    with watch.owner("job"):
        session = Session(engine)
        session.execute(ONE)
        del session
        gc.collect()
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}
    assert seen.pool["checked_out"] == 0
    assert seen.codes == ["SW103"]


def test_memory_database(watch, seen, make_engine):
    engine = make_engine("sqlite://")
    assert isinstance(engine.pool, SingletonThreadPool)
    with watch.owner("job"):
        for _ in range(2):
            with Session(engine) as session:
                session.execute(ONE)
    assert _in_and_out(seen) == {"checkouts": 2, "checkins": 2}
    assert seen.codes == []


def test_session_with_two_engines_holds_two_connections(
    watch, seen, make_engine, make_tally, models, rows
):
    first, second = make_engine(), make_engine()
    tallies = make_tally(first), make_tally(second)
    session = Session(binds={models.Item: first, models.Part: second})
    with watch.owner("job"), session:
        session.execute(select(models.Item))
        session.execute(select(models.Part))
        assert sorted(pool["checked_out"] for pool in seen.snapshot.pools) == [1, 1]
        session.add(models.Item(name="a"))
        session.commit()
    assert seen.counts("opened", "committed") == {"opened": 1, "committed": 1}
    assert _in_and_out(seen) == {"checkouts": 2, "checkins": 2}
    assert [tally["commit"] for tally in tallies] == [1, 1]
    assert rows() == 1


def test_session_that_leaks_two_connections_says_two(watch, seen, make_engine, models):
    with watch.owner("job"):
        session = Session(binds={models.Item: make_engine(), models.Part: make_engine()})
        session.execute(select(models.Item))
        session.execute(select(models.Part))
    finding = seen.only_finding("SW101")
    assert finding["details"]["connections_out"] == 2
    assert "2 connections of the pool are still out" in finding["message"]
    session.close()


def test_detached_connection_has_left_the_pool(watch, seen, engine):
    with watch.owner("job"), engine.connect() as connection:
        connection.detach()
        assert seen.pool["checked_out"] == engine.pool.checkedout() == 0
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}
    assert seen.codes == []


def test_detached_connection_of_a_session(watch, seen, engine):
    with watch.owner("job"), Session(engine) as session:
        session.connection().detach()
        session.execute(ONE)
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}
    assert seen.codes == []


def test_invalidated_connection_is_replaced(watch, seen, engine, tally):
    with watch.owner("job"), engine.connect() as connection:
        connection.invalidate()
        assert seen.pool["checked_out"] == engine.pool.checkedout() == 0
        connection.execute(ONE)
        assert seen.pool["checked_out"] == 1
    assert _in_and_out(seen) == {"checkouts": 2, "checkins": 2}
    assert (tally["checkouts"], tally["checkins"]) == (2, 2)
    assert seen.counts("statements") == {"statements": tally["statements"]}
    assert seen.codes == []


def test_invalidated_connection_of_a_session(watch, seen, engine, tally):
    with watch.owner("job"), Session(engine) as session:
        session.connection().invalidate()
        session.rollback()
        session.execute(ONE)
    assert _in_and_out(seen) == {"checkouts": 2, "checkins": 2}
    assert (tally["checkouts"], tally["checkins"]) == (2, 2)
    assert seen.counts("statements", "rolled_back") == {"statements": 1, "rolled_back": 1}
    assert seen.codes == []


def test_core_connection_that_is_closed(watch, seen, engine, tally, models):
    with watch.owner("job"), engine.begin() as connection:
        connection.execute(ONE)
        connection.execute(text("INSERT INTO item (name) VALUES ('a')"))
    assert seen.counts("statements", "writes", "checkouts", "checkins", "opened") == {
        "statements": tally["statements"],
        "writes": tally["writes"],
        "checkouts": 1,
        "checkins": 1,
        "opened": 0,
    }
    assert seen.codes == []


def test_core_connection_that_leaks_is_found_once(watch, seen, engine):
    with watch.owner("job"):
        connection = engine.connect()
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 0}
    finding = seen.only_finding("SW101")
    assert finding["opened_at"]["function"] == "test_core_connection_that_leaks_is_found_once"
    connection.close()
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}
    assert seen.only_finding("SW101")["details"]["returned_later"] == 1


def test_core_connection_that_leaks_and_is_collected_later_is_found_once(watch, seen, engine):
    with watch.owner("job"):
        connection = engine.connect()
    del connection
    gc.collect()
    assert seen.codes == ["SW101"]
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}
    assert seen.pool["checked_out"] == 0


def test_core_connection_that_is_dropped_to_the_collector(watch, seen, engine):
    with watch.owner("job"):
        engine.connect().execute(ONE)
        gc.collect()
    assert seen.only_finding("SW103")["message"].startswith("SW103 gc reclaimed: job")
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}


def test_core_connection_of_the_process_that_is_dropped(seen, engine):
    engine.connect().execute(ONE)
    gc.collect()
    assert seen.codes == ["SW103"]
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}


def test_core_connection_inside_a_session_event_is_no_checkout_of_the_session(
    watch, seen, make_engine, make_session, models
):
    audit = make_engine()
    leaked = []

    def write_audit(session, context):
        leaked.append(audit.connect())
        leaked[0].execute(ONE)

    with watch.owner("job"), make_session() as session:
        event.listen(session, "after_flush", write_audit)
        session.add(models.Item(name="a"))
        session.commit()
    assert seen.only_finding("SW101")["opened_at"]["function"] == "write_audit"
    assert seen.counts("statements", "checkouts", "checkins") == {
        "statements": 2,
        "checkouts": 2,
        "checkins": 1,
    }
    leaked[0].close()


def test_raw_connection(watch, seen, engine):
    with watch.owner("job"):
        engine.raw_connection().close()
    assert _in_and_out(seen) == {"checkouts": 1, "checkins": 1}
    with watch.owner("job"):
        leaked = engine.raw_connection()
    assert seen.codes == ["SW101"]
    leaked.close()


def test_connection_that_was_out_before_the_watch_is_no_business_of_ours(engine, make_watch, read):
    with engine.connect() as connection:
        watch = make_watch()
        connection.execute(ONE)
    assert read(watch).counts() == {}
    assert read(watch).snapshot.pools == []


@pytest.fixture
def slow_engine(engine, clock):
    """An engine with a SQL function that takes three seconds of the clock."""

    @event.listens_for(engine, "connect")
    def add_function(connection, entry):
        connection.create_function("slow", 0, lambda: clock.advance(3))

    return engine


def test_time_held_and_time_idle(seen, clock, slow_engine):
    session = Session(slow_engine)
    clock.advance(100)
    session.execute(text("SELECT slow()")).all()
    clock.advance(5)
    held = seen.totals
    assert (held["held_seconds"], held["idle_seconds"]) == (8, 5)
    session.execute(text("SELECT slow()")).all()
    clock.advance(1)
    session.close()
    clock.advance(100)
    held = seen.totals
    assert (held["held_seconds"], held["idle_seconds"]) == (12, 6)
    assert seen.pool["held_seconds"] == 12


def test_time_held_by_a_core_connection(seen, clock, slow_engine):
    with slow_engine.connect() as connection:
        clock.advance(2)
        connection.execute(text("SELECT slow()")).all()
    clock.advance(100)
    held = seen.totals
    assert (held["held_seconds"], held["idle_seconds"]) == (5, 2)


def test_time_counts_until_the_collector_comes(seen, clock, engine):
    session = Session(engine)
    session.execute(ONE)
    clock.advance(7)
    del session
    gc.collect()
    clock.advance(100)
    assert (seen.totals["held_seconds"], seen.totals["idle_seconds"]) == (7, 7)


def test_pool_is_described(seen, make_engine, database_path):
    engine = make_engine(pool_size=2, max_overflow=3)
    with Session(engine) as session:
        session.execute(ONE)
    assert {key: seen.pool[key] for key in ("name", "class", "size", "max_overflow")} == {
        "name": f"sqlite:///{database_path}",
        "class": "QueuePool",
        "size": 2,
        "max_overflow": 3,
    }


def test_pool_name_holds_no_secret():
    url = make_url("postgresql+psycopg://ann:secret@db.example/shop?sslpassword=hidden")
    assert display_url(url) == "postgresql+psycopg://db.example/shop"


def test_pool_without_a_limit(seen, make_engine):
    engine = make_engine(max_overflow=-1)
    with Session(engine) as session:
        session.execute(ONE)
    assert seen.pool["max_overflow"] == -1


def test_pool_that_is_gone_is_not_listed(seen, make_engine):
    from sqlalchemy import create_engine

    engine = create_engine("sqlite://")
    with Session(engine) as session:
        session.execute(ONE)
    assert len(seen.snapshot.pools) == 1
    engine.dispose()
    del engine, session
    gc.collect()
    assert seen.snapshot.pools == []


def test_engine_that_is_disposed_of_while_a_connection_is_out(watch, seen, engine):
    with watch.owner("job"), Session(engine) as session:
        session.execute(ONE)
        engine.dispose()
    with Session(engine) as session:
        session.execute(ONE)
    assert _in_and_out(seen) == {"checkouts": 2, "checkins": 2}
    assert seen.codes == []
    assert sum(pool["checked_out"] for pool in seen.snapshot.pools) == 0
