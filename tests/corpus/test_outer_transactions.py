"""Test suites that roll back an outer transaction, whatever the code under test commits."""

from contextlib import suppress
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session


@pytest.fixture
def connection(savepoint_engine):
    with savepoint_engine.connect() as connection, connection.begin() as outer:
        yield connection
        outer.rollback()


@pytest.fixture
def session(connection):
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        yield session


@pytest.fixture(autouse=True)
def nothing_is_kept(rows):
    yield
    assert rows() == 0


def test_code_under_test_commits_and_rolls_back(session, models):
    session.add(models.Item(name="a"))
    session.commit()
    session.add(models.Item(name="b"))
    session.flush()
    session.rollback()
    session.add(models.Item(name="a"))
    with suppress(IntegrityError):
        session.commit()
    session.rollback()
    assert session.scalars(select(models.Item.name)).all() == ["a"]


def test_test_that_is_an_owner(watch, connection, models):
    options = {"join_transaction_mode": "create_savepoint"}
    with watch.owner("test_items", kind="test"), Session(connection, **options) as session:
        session.add(models.Item(name="a"))
        session.commit()
        session.add(models.Item(name="b"))
        session.flush()


def test_application_under_test(visit, session, models):
    app = FastAPI()

    def get_db():
        raise NotImplementedError

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        db.add(models.Item(name=name))
        try:
            db.commit()
        except IntegrityError:
            db.rollback()
            raise HTTPException(status_code=409) from None
        return {"name": name}

    app.dependency_overrides[get_db] = lambda: session
    with visit(app) as client:
        answers = [client.post(f"/items/{name}").status_code for name in "abab"]
    assert answers == [200, 200, 409, 409]
    assert session.scalars(select(models.Item.name)).all() == ["a", "b"]


def test_application_that_opens_its_own_sessions_on_the_connection(visit, connection, models):
    app = FastAPI()

    def get_db():
        with Session(connection, join_transaction_mode="create_savepoint") as db:
            yield db

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        db.add(models.Item(name=name))
        db.commit()
        return {"name": name}

    with visit(app) as client:
        assert [client.post(f"/items/{name}").status_code for name in "abc"] == [200] * 3


@pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only"])
def test_other_modes(watch, connection, models, mode):
    with watch.owner("test"), Session(connection, join_transaction_mode=mode) as session:
        session.add(models.Item(name="a"))
        session.commit()
        session.scalars(select(models.Item)).all()


def test_session_that_controls_the_outer_transaction(watch, savepoint_engine, models):
    with savepoint_engine.connect() as connection, watch.owner("test"):
        connection.begin()
        with Session(connection, join_transaction_mode="control_fully") as session:
            session.add(models.Item(name="a"))
            session.flush()
            session.rollback()


def test_recipe_of_older_suites(watch, connection, models):
    """A savepoint that is begun anew each time the code under test ends one."""
    with watch.owner("test"), Session(connection) as session:
        session.begin_nested()

        @event.listens_for(session, "after_transaction_end")
        def begin_again(session, transaction):
            if transaction.nested and not transaction._parent.nested:
                session.expire_all()
                session.begin_nested()

        for name in "ab":
            session.add(models.Item(name=name))
            session.get_nested_transaction().commit()
        assert len(session.scalars(select(models.Item)).all()) == 2
        event.remove(session, "after_transaction_end", begin_again)


def test_async_suite(watch, run_async, models):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        @event.listens_for(engine.sync_engine, "connect")
        def leave_begin_to_us(connection, entry):
            connection.isolation_level = None

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection):
            connection.exec_driver_sql("BEGIN")

        async with engine.connect() as connection, connection.begin() as outer:
            options = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
            with watch.owner("test", kind="test"):
                async with AsyncSession(connection, **options) as session:
                    session.add(models.Item(name="a"))
                    await session.commit()
                    session.add(models.Item(name="b"))
                    await session.commit()
            await outer.rollback()

    run_async(body)
