"""Savepoints that are released, rolled back, nested, and caught by their own `except`."""

from contextlib import suppress
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker


@pytest.fixture
def make_session(savepoint_engine):
    return sessionmaker(savepoint_engine)


def add_each(session, models, names):
    """Add what is not there yet; returns what was."""
    known = []
    for name in names:
        try:
            with session.begin_nested():
                session.add(models.Item(name=name))
        except IntegrityError:
            known.append(name)
    return known


def test_bulk_import_that_skips_what_is_there(watch, make_session, models, rows):
    with watch.owner("import"), make_session.begin() as session:
        assert add_each(session, models, "abcab") == ["a", "b"]
    assert rows() == 3


def test_get_or_create(visit, make_session, models, rows):
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    @app.put("/items/{name}")
    def put(name: str, db: Annotated[Any, Depends(get_db)]):
        known = add_each(db, models, [name])
        item = db.scalar(select(models.Item).where(models.Item.name == name))
        answer = {"id": item.id, "created": not known}
        db.commit()
        return answer

    with visit(app) as client:
        assert client.request("PUT", "/items/a").json() == {"id": 1, "created": True}
        assert client.request("PUT", "/items/a").json() == {"id": 1, "created": False}
    assert rows() == 1


def test_savepoint_by_hand(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.add(models.Item(name="kept"))
        savepoint = session.begin_nested()
        session.add(models.Item(name="dropped"))
        session.flush()
        savepoint.rollback()
        savepoint = session.begin_nested()
        session.add(models.Item(name="released"))
        savepoint.commit()
        session.commit()
    assert rows() == 2


def test_savepoints_in_savepoints(watch, make_session, models, rows):
    with watch.owner("job"), make_session.begin() as session, session.begin_nested():
        session.add(models.Item(name="outer"))
        with suppress(ValueError), session.begin_nested():
            session.add(models.Item(name="inner"))
            session.flush()
            raise ValueError("not this one")
        with session.begin_nested():
            session.add(models.Item(name="other"))
    assert rows() == 2


def test_everything_was_rolled_back_to_a_savepoint(watch, make_session, models, rows):
    """Nothing is left to be committed, so a close loses nothing."""
    with watch.owner("job"), make_session() as session:
        with suppress(ValueError), session.begin_nested():
            session.add(models.Item(name="a"))
            session.flush()
            raise ValueError("no")
        assert session.scalars(select(models.Item)).all() == []
    assert rows() == 0


def test_owner_that_fails_with_a_savepoint_open(watch, make_session, models, rows):
    with suppress(ValueError), watch.owner("job"), make_session.begin() as session:
        session.begin_nested()
        session.add(models.Item(name="a"))
        session.flush()
        raise ValueError("no")
    assert rows() == 0


def test_rollback_of_everything_with_a_savepoint_open(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.add(models.Item(name="a"))
        session.begin_nested()
        session.add(models.Item(name="b"))
        session.flush()
        session.rollback()
    assert rows() == 0


def test_failed_flush_in_a_savepoint_leaves_the_session_usable(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.add(models.Item(name="a"))
        session.flush()
        assert add_each(session, models, "a") == ["a"]
        session.add(models.Item(name="b"))
        session.commit()
    assert rows() == 2


def test_core_savepoint_beneath_a_session(watch, savepoint_engine, models, rows):
    with watch.owner("job"), Session(savepoint_engine) as session:
        connection = session.connection()
        with connection.begin_nested():
            connection.execute(models.Item.__table__.insert().values(name="a"))
        session.commit()
    assert rows() == 1


def test_async_savepoints(watch, run_async, models, rows):
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        @event.listens_for(engine.sync_engine, "connect")
        def leave_begin_to_us(connection, entry):
            connection.isolation_level = None

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection):
            connection.exec_driver_sql("BEGIN")

        with watch.owner("job"):
            async with AsyncSession(engine) as session, session.begin():
                for name in "aba":
                    with suppress(IntegrityError):
                        async with session.begin_nested():
                            session.add(models.Item(name=name))

    run_async(body)
    assert rows() == 2
