"""Sessions on a Connection: what looks like commit and rollback there may be a savepoint."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

ENDS = ("committed", "savepoints_released", "rolled_back", "discarded")
NOTHING = dict.fromkeys(ENDS, 0)

JOINED = {
    ("create_savepoint", "commit"): {"savepoints_released": 1},
    ("create_savepoint", "rollback"): {},
    ("create_savepoint", "close"): {},
    ("conditional_savepoint", "commit"): {},
    ("conditional_savepoint", "rollback"): {"rolled_back": 1},
    ("conditional_savepoint", "close"): {},
    ("rollback_only", "commit"): {},
    ("rollback_only", "rollback"): {"rolled_back": 1},
    ("rollback_only", "close"): {},
    ("control_fully", "commit"): {"committed": 1},
    ("control_fully", "rollback"): {"rolled_back": 1},
}


@pytest.fixture
def tally(savepoint_engine, make_tally):
    return make_tally(savepoint_engine)


@pytest.mark.parametrize(("mode", "end"), JOINED)
def test_session_that_joins_a_transaction(
    watch, seen, savepoint_engine, tally, models, rows, mode, end
):
    with savepoint_engine.connect() as connection:
        outer = connection.begin()
        with watch.owner("test"):
            session = Session(connection, join_transaction_mode=mode)
            session.add(models.Item(name="a"))
            session.flush()
            getattr(session, end)()
            session.close()
        at_the_end_of_the_owner = dict(tally.counts)
        if outer.is_active:
            outer.rollback()
    assert seen.counts(*ENDS) == NOTHING | JOINED[mode, end]
    assert seen.counts("committed") == {"committed": at_the_end_of_the_owner.get("commit", 0)}
    assert seen.counts("savepoints_released") == {
        "savepoints_released": at_the_end_of_the_owner.get("release_savepoint", 0)
    }
    assert rows() == at_the_end_of_the_owner.get("commit", 0)
    assert seen.codes == []


def test_conditional_savepoint_inside_a_savepoint_is_one_too(
    watch, seen, savepoint_engine, tally, models, rows
):
    with savepoint_engine.connect() as connection, connection.begin() as outer:
        with connection.begin_nested(), watch.owner("test"), Session(connection) as session:
            session.add(models.Item(name="a"))
            session.commit()
        outer.rollback()
    assert seen.counts(*ENDS) == NOTHING | {"savepoints_released": 1}
    assert (tally["commit"], tally["release_savepoint"], rows()) == (0, 2, 0)


def test_outer_transaction_of_a_test_suite(watch, seen, savepoint_engine, tally, models, rows):
    """The pattern of SQLAlchemy's manual: each test in a transaction that is rolled back."""
    connection = savepoint_engine.connect()
    transaction = connection.begin()
    make_session = sessionmaker(connection, join_transaction_mode="create_savepoint")
    with watch.owner("POST /items", kind="request") as owner:
        owner.status, owner.response_started_ns = 200, 1
        with make_session() as session:
            session.add(models.Item(name="committed by the app"))
            session.commit()
            session.add(models.Item(name="rolled back by the app"))
            session.flush()
            session.rollback()
            with session.begin_nested():
                session.add(models.Item(name="in a savepoint of the app"))
            session.add(models.Item(name="dropped by the app"))
            session.flush()
    with make_session() as session:
        names = session.scalars(select(models.Item.name)).all()
        assert names == ["committed by the app"]
    transaction.rollback()
    connection.close()
    assert seen.counts("committed", "discarded") == {"committed": 0, "discarded": 0}
    assert seen.counts("savepoints_released") == {"savepoints_released": tally["release_savepoint"]}
    assert (tally["commit"], rows()) == (0, 0)
    assert seen.codes == []


def test_outer_transaction_spares_an_owner_that_fails(watch, seen, savepoint_engine, models):
    with savepoint_engine.connect() as connection, connection.begin() as transaction:
        options = {"join_transaction_mode": "create_savepoint"}
        with suppress(ValueError), watch.owner("job"), Session(connection, **options) as session:
            session.add(models.Item(name="a"))
            session.commit()
            raise ValueError("no")
        transaction.rollback()
    assert seen.codes == []


def test_session_returns_no_connection_that_it_was_lent(watch, seen, engine):
    with engine.connect() as connection:
        with watch.owner("job"), Session(connection) as session:
            session.execute(select(1))
        assert seen.pool["checked_out"] == 1
    assert seen.counts("opened", "closed") == {"opened": 1, "closed": 1}
    assert seen.pool["checked_out"] == 0
    assert seen.codes == []


def test_unclosed_session_holds_no_connection_that_it_was_lent(watch, seen, engine):
    with engine.connect() as connection:
        with watch.owner("job"):
            session = Session(connection)
            session.execute(select(1))
        session.close()
    assert seen.codes == ["SW107"]


def test_session_with_a_transaction_of_its_own_really_commits(
    watch, seen, engine, tally, models, rows
):
    with watch.owner("job"), engine.connect() as connection, Session(connection) as session:
        session.add(models.Item(name="a"))
        session.commit()
    assert seen.counts(*ENDS) == NOTHING | {"committed": 1}
    assert rows() == 1
    assert seen.codes == []


def test_session_with_a_transaction_of_its_own_really_loses(watch, seen, engine, models, rows):
    with watch.owner("job"), engine.connect() as connection, Session(connection) as session:
        session.add(models.Item(name="a"))
        session.flush()
    assert seen.counts(*ENDS) == NOTHING | {"discarded": 1}
    assert rows() == 0
    assert seen.codes == ["SW203"]


def test_partial_commit_through_a_connection(watch, seen, clock, engine, models, rows):
    with (
        suppress(ValueError),
        watch.owner("job"),
        engine.connect() as connection,
        Session(connection) as session,
    ):
        session.add(models.Item(name="a"))
        session.commit()
        clock.advance()
        raise ValueError("no")
    assert rows() == 1
    assert seen.codes == ["SW202"]


def test_statements_and_writes_count_for_the_session(seen, engine, models):
    """What is counted through the connection itself is not counted twice."""
    with engine.connect() as connection:
        connection.execute(select(1))
        with Session(connection) as session:
            session.add(models.Item(name="a"))
            session.commit()
        connection.commit()
    assert seen.counts("statements", "writes", "flushes", "checkouts", "checkins") == {
        "statements": 2,
        "writes": 1,
        "flushes": 1,
        "checkouts": 1,
        "checkins": 1,
    }


def test_two_sessions_at_once_on_one_connection(watch, seen, savepoint_engine, models):
    with watch.owner("job"), savepoint_engine.connect() as connection:
        first = Session(connection)
        first.add(models.Item(name="a"))
        first.flush()
        with Session(connection, join_transaction_mode="create_savepoint") as second:
            second.add(models.Item(name="b"))
            second.commit()
        first.add(models.Item(name="c"))
        first.flush()
        first.close()
    assert seen.counts("writes", "discarded") == {"writes": 3, "discarded": 1}
    assert seen.only_finding("SW203")["details"] == {"writes": 2}


def test_two_sessions_on_one_connection_each_own_their_work(watch, seen, engine, models, rows):
    with watch.owner("job"), engine.connect() as connection:
        with Session(connection) as first:
            first.add(models.Item(name="a"))
            first.commit()
        with Session(connection) as second:
            second.add(models.Item(name="b"))
            second.flush()
    assert seen.counts("committed", "discarded") == {"committed": 1, "discarded": 1}
    assert rows() == 1
