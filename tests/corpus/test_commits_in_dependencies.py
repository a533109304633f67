"""Dependencies that commit for the handler, before the response or where nothing was written."""

from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError


@pytest.fixture
def full(make_session):
    """Commits when all went well, rolls back when not, closes in any case."""

    def get_db():
        db = make_session()
        try:
            yield db
            db.commit()
        except BaseException:
            db.rollback()
            raise
        finally:
            db.close()

    return get_db


@pytest.fixture
def begin(make_session):
    """The same in a line."""

    def get_db():
        with make_session.begin() as db:
            yield db

    return get_db


@pytest.fixture(params=["full", "begin"])
def get_db(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def app(get_db, before_response, models):
    app = FastAPI()
    Db = Annotated[Any, Depends(get_db, **before_response)]

    @app.post("/items/{name}")
    def add(name: str, db: Db):
        db.add(models.Item(name=name))
        db.flush()
        if name.startswith("bad"):
            raise HTTPException(status_code=400, detail="no")
        if name.startswith("bug"):
            raise RuntimeError("a bug")
        return {"name": name}

    @app.get("/items/{name}")
    def read(name: str, db: Db):
        item = db.scalar(select(models.Item).where(models.Item.name == name))
        if item is None:
            raise HTTPException(status_code=404)
        return {"name": item.name}

    @app.exception_handler(IntegrityError)
    def conflict(request, error):
        from fastapi.responses import JSONResponse

        return JSONResponse({"detail": "there is one already"}, status_code=409)

    return app


def test_one_by_one(visit, app, rows):
    with visit(app) as client:
        assert client.post("/items/a").status_code == 200
        assert client.post("/items/a").status_code == 409
        assert client.post("/items/bad").status_code == 400
        assert client.post("/items/bug").status_code == 500
        assert client.get("/items/a").status_code == 200
        assert client.get("/items/b").status_code == 404
        assert rows() == 1


def test_twenty_at_once(visit, app, rows):
    with visit(app) as client:
        names = [f"{kind}{number}" for kind in ("good", "bad") for number in range(10)]
        answers = client.at_once(*[("POST", f"/items/{name}", None) for name in names])
        assert answers == [200] * 10 + [400] * 10
        assert rows() == 10


def test_reads_whose_commit_comes_after_the_response(visit, full, models):
    app = FastAPI()

    @app.get("/count")
    def count(db: Annotated[Any, Depends(full)]):
        return db.scalar(select(func.count()).select_from(models.Item))

    with visit(app) as client:
        assert client.at_once(*[("GET", "/count", None)] * 20) == [200] * 20


def test_handler_that_commits_before_a_dependency_that_would(visit, full, models, rows):
    app = FastAPI()

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(full)]):
        db.add(models.Item(name=name))
        db.commit()
        return {"id": db.scalar(select(models.Item.id).where(models.Item.name == name))}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{n}", None) for n in range(20)]) == [200] * 20
    assert rows() == 20


def test_unit_of_work_that_the_handler_opens(visit, make_session, models, rows):
    app = FastAPI()

    @contextmanager
    def unit_of_work():
        with make_session() as db:
            yield db
            db.commit()

    @app.post("/items/{name}")
    def add(name: str):
        with unit_of_work() as db:
            db.add(models.Item(name=name))
        return {"name": name}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{n}", None) for n in range(20)]) == [200] * 20
    assert rows() == 20
