"""Background tasks with a session of their own, begun when the request's work is saved."""

from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import select, update
from sqlalchemy.orm import Session


@pytest.fixture
def get_db(make_session):
    def get_db():
        with make_session() as db:
            yield db

    return get_db


@pytest.fixture
def finish(make_session, models):
    def finish(item_id):
        with make_session.begin() as db:
            db.execute(update(models.Item).where(models.Item.id == item_id).values(name="done"))

    return finish


@pytest.fixture
def app(get_db, before_response, finish, make_session, models):
    """The request's session is closed before the response, so that the task finds all saved."""
    app = FastAPI()
    Db = Annotated[Any, Depends(get_db, **before_response)]

    def look(item_id):
        with make_session() as db:
            db.get(models.Item, item_id)

    @app.post("/items/{name}")
    def add(name: str, db: Db, later: BackgroundTasks):
        item = models.Item(name=name)
        db.add(item)
        db.commit()
        later.add_task(finish if name == "first" else look, item.id)
        return {"id": item.id}

    @app.get("/items")
    def read(db: Db, later: BackgroundTasks):
        found = db.scalars(select(models.Item.id)).all()
        later.add_task(look, 1)
        return found

    return app


def test_one_by_one(visit, app, make_session, models):
    with visit(app) as client:
        assert client.post("/items/first").json() == {"id": 1}
        assert client.get("/items").json() == [1]
    with make_session() as db:
        assert db.get(models.Item, 1).name == "done"


def test_twenty_at_once(visit, app, rows):
    with visit(app) as client:
        writes = [("POST", f"/items/{number}", None) for number in range(10)]
        reads = [("GET", "/items", None)] * 10
        assert client.at_once(*writes, *reads) == [200] * 20
    assert rows() == 10


def test_request_session_that_is_still_open_but_has_saved_all(visit, engine, finish, models):
    """The commit gave the connection back; nothing is loaded again, so none is taken."""
    app = FastAPI()

    def get_db():
        with Session(engine, expire_on_commit=False) as db:
            yield db

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)], later: BackgroundTasks):
        item = models.Item(name=name)
        db.add(item)
        db.commit()
        later.add_task(finish, item.id)
        return {"id": item.id}

    with visit(app) as client:
        assert client.post("/items/a").status_code == 200
    with Session(engine) as db:
        assert db.get(models.Item, 1).name == "done"


def test_several_tasks_each_with_a_session(visit, get_db, make_session, models, rows):
    app = FastAPI()

    def note(name):
        with make_session.begin() as db:
            db.add(models.Item(name=name))

    @app.post("/orders")
    def order(later: BackgroundTasks):
        for name in ("mail", "invoice", "parcel"):
            later.add_task(note, name)
        return {}

    with visit(app) as client:
        assert client.post("/orders").status_code == 200
    assert rows() == 3


def test_task_that_fails_and_rolls_back(visit, make_session, models, rows):
    app = FastAPI()

    def fail():
        with make_session.begin() as db:
            db.add(models.Item(name="half"))
            db.flush()
            raise RuntimeError("the mail server is down")

    @app.post("/orders")
    def order(later: BackgroundTasks):
        later.add_task(fail)
        return {}

    with visit(app) as client:
        client.post("/orders")
    assert rows() == 0


def test_task_of_a_committed_request_that_fails(visit, get_db, make_session, models, rows):
    """The request's work is done and acknowledged; the task had not written anything yet."""
    app = FastAPI()

    def fail():
        with make_session() as db:
            db.execute(select(1))
            raise RuntimeError("the mail server is down")

    @app.post("/orders")
    def order(db: Annotated[Any, Depends(get_db)], later: BackgroundTasks):
        db.add(models.Item(name="order"))
        db.commit()
        later.add_task(fail)
        return {}

    with visit(app) as client:
        client.post("/orders")
    assert rows() == 1
