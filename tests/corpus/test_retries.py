"""Work that is tried again after an error, each time from a clean session or transaction."""

import sqlite3
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError
from sqlalchemy.orm import sessionmaker

TRIES = 3


@pytest.fixture
def make_blocked_session(make_engine, database_path):
    """Somebody else is writing, until a session has met the lock twice."""
    engine = make_engine(connect_args={"timeout": 0})
    writer = sqlite3.connect(database_path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    failures = []

    @event.listens_for(engine, "handle_error")
    def finish(context):
        failures.append(context)
        if len(failures) == 2:
            writer.rollback()

    yield sessionmaker(engine)
    writer.close()


def add_in_a_new_session(make_session, models, name):
    for attempt in range(TRIES):
        try:
            with make_session.begin() as session:
                session.add(models.Item(name=name))
            return attempt
        except OperationalError:
            continue
    raise TimeoutError(name)


def add_in_the_same_session(session, models, name):
    for attempt in range(TRIES):
        session.add(models.Item(name=name))
        try:
            session.commit()
        except OperationalError:
            session.rollback()
        else:
            return attempt
    raise TimeoutError(name)


def test_new_session_for_each_attempt(watch, make_blocked_session, models, rows):
    with watch.owner("job"):
        assert add_in_a_new_session(make_blocked_session, models, "a") == 2
    assert rows() == 1


def test_rollback_between_attempts(watch, make_blocked_session, models, rows):
    with watch.owner("job"), make_blocked_session() as session:
        assert add_in_the_same_session(session, models, "a") == 2
    assert rows() == 1


def test_request_that_tries_again(visit, make_blocked_session, make_session, models, rows):
    app = FastAPI()

    @app.post("/blocked/{name}")
    def add_blocked(name: str):
        return {"attempts": add_in_a_new_session(make_blocked_session, models, name) + 1}

    @app.post("/items/{name}")
    def add(name: str):
        return {"attempts": add_in_a_new_session(make_session, models, name) + 1}

    with visit(app) as client:
        assert client.post("/blocked/a").json() == {"attempts": 3}
        names = [("POST", f"/items/{number}", None) for number in range(20)]
        assert client.at_once(*names) == [200] * 20
    assert rows() == 21


def test_name_that_is_taken(visit, make_session, models, rows):
    """A number is added to the name until nobody else has it."""
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        for number in range(TRIES):
            db.add(models.Item(name=f"{name}-{number}"))
            try:
                db.commit()
            except IntegrityError:
                db.rollback()
                continue
            return {"name": f"{name}-{number}"}
        raise HTTPException(status_code=409)

    with visit(app) as client:
        names = [client.post("/items/a") for _ in range(TRIES + 1)]
    assert [answer.status_code for answer in names] == [200, 200, 200, 409]
    assert rows() == 3


def test_conflict_that_is_answered_after_a_rollback(visit, make_session, models, rows):
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        from fastapi.responses import JSONResponse

        db.add(models.Item(name=name))
        try:
            db.commit()
        except IntegrityError:
            db.rollback()
            return JSONResponse({"detail": "taken"}, status_code=409)
        return {"name": name}

    with visit(app) as client:
        answers = client.at_once(*[("POST", "/items/a", None)] * 20)
    assert sorted(answers) == [200] + [409] * 19
    assert rows() == 1


def test_failed_flush_then_rollback_then_go_on(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.add_all([models.Item(name="a"), models.Item(name="a")])
        try:
            session.flush()
        except IntegrityError:
            session.rollback()
        session.add(models.Item(name="a"))
        session.commit()
        assert session.scalars(select(models.Item.name)).all() == ["a"]
    assert rows() == 1


def test_failed_statement_then_rollback_then_go_on(watch, make_session, models):
    with watch.owner("job"), make_session() as session:
        with pytest.raises(OperationalError):
            session.execute(text("SELECT * FROM nowhere"))
        session.rollback()
        session.scalars(select(models.Item)).all()


def test_session_that_a_library_left_failed_is_rolled_back(watch, make_session, models, rows):
    """The caller can't know whether the session is usable, asks it, and mends it."""

    def careless(session):
        session.add_all([models.Item(name="a"), models.Item(name="a")])
        try:
            session.flush()
        except IntegrityError:
            return

    with watch.owner("job"), make_session() as session:
        careless(session)
        if not session.is_active:
            session.rollback()
        session.add(models.Item(name="b"))
        session.commit()
    assert rows() == 1


def test_pending_rollback_is_never_reached(watch, make_session, models):
    with watch.owner("job"), make_session() as session:
        session.add_all([models.Item(name="a"), models.Item(name="a")])
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        try:
            session.scalars(select(models.Item)).all()
        except PendingRollbackError:
            pytest.fail("it was rolled back")
