"""Connections beside and beneath sessions: `engine.begin`, AUTOCOMMIT, `session.connection`."""

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session


@pytest.fixture
def count(models):
    return select(func.count()).select_from(models.Item)


def test_engine_begin(watch, engine, make_session, models, count):
    with watch.owner("job"):
        with engine.begin() as connection:
            connection.execute(insert(models.Item), [{"name": "a"}, {"name": "b"}])
        with make_session() as session:
            assert session.scalar(count) == 2


def test_commit_as_you_go(watch, engine, make_session, models, count):
    with watch.owner("job"):
        with engine.connect() as connection:
            connection.execute(insert(models.Item), [{"name": "a"}])
            connection.commit()
            connection.execute(insert(models.Item), [{"name": "b"}])
            connection.rollback()
        with make_session() as session:
            assert session.scalar(count) == 1


def test_connection_of_a_session(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.connection().execute(insert(models.Item), [{"name": "a"}])
        session.add(models.Item(name="b"))
        session.commit()
    assert rows() == 2


def test_autocommit_engine(watch, make_engine, models, rows):
    engine = make_engine(isolation_level="AUTOCOMMIT")
    with watch.owner("job"), Session(engine) as session:
        session.add(models.Item(name="a"))
        session.flush()
    assert rows() == 1


def test_autocommit_option_of_an_engine(watch, engine, models, rows):
    with (
        watch.owner("job"),
        Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session,
    ):
        session.execute(insert(models.Item), [{"name": "a"}])
    assert rows() == 1


def test_autocommit_connection_of_a_session(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        session.add(models.Item(name="a"))
        session.flush()
    assert rows() == 1


def test_autocommit_for_reads_beside_a_transaction_for_writes(watch, engine, models, rows):
    reading = engine.execution_options(isolation_level="AUTOCOMMIT")
    with watch.owner("job"):
        with Session(reading) as session:
            assert session.scalars(select(models.Item)).all() == []
        with Session(engine) as session, session.begin():
            session.add(models.Item(name="a"))
    assert rows() == 1


def test_session_that_is_bound_to_a_connection(watch, engine, models, rows):
    with watch.owner("job"), engine.connect() as connection:
        with Session(connection) as session:
            session.add(models.Item(name="a"))
            session.commit()
        connection.commit()
    assert rows() == 1


def test_core_transaction_that_a_session_takes_part_in(watch, engine, models, rows):
    with watch.owner("job"), engine.begin() as connection, Session(connection) as session:
        session.add(models.Item(name="a"))
        session.flush()
        session.close()
        connection.execute(insert(models.Item), [{"name": "b"}])
    assert rows() == 2


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'INSERT INTO item'",
        "/* DELETE FROM item */ SELECT 1",
        "-- UPDATE item\nSELECT 1",
        "SELECT replace('update', 'up', 'down')",
        "WITH insert_me AS (SELECT 1) SELECT * FROM insert_me",
        "EXPLAIN DELETE FROM item",
        "PRAGMA user_version",
        "UPDATE item SET name = 'b' WHERE name = 'nobody'",
        "DELETE FROM item WHERE name = 'nobody'",
        "INSERT INTO item (name) SELECT name FROM item",
        "INSERT INTO item (name) VALUES ('known') ON CONFLICT DO NOTHING",
    ],
)
def test_statements_that_change_nothing(watch, make_session, models, statement):
    """They look like writes, or are writes of no row, and nobody commits them."""
    with watch.owner("job"), make_session() as session:
        if "known" in statement:
            session.add(models.Item(name="known"))
            session.commit()
        session.execute(text(statement))


def test_tables_that_are_made_at_start(watch, engine, make_session, models):
    with watch.owner("start"):
        models.Base.metadata.drop_all(engine)
        models.Base.metadata.create_all(engine)
        with make_session() as session:
            assert session.scalars(select(models.Item)).all() == []


def test_raw_connection(watch, engine, make_session, count):
    with watch.owner("job"):
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("INSERT INTO item (name) VALUES ('a')")
            raw.commit()
        finally:
            raw.close()
        with make_session() as session:
            assert session.scalar(count) == 1
