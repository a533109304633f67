"""A failed login is saved, and then refused: the catalogue's own example of what is correct."""

from contextlib import contextmanager
from functools import partial

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool


@pytest.fixture
def record(make_session, models):
    @contextmanager
    def transaction():
        with make_session() as session:
            yield session
            session.commit()

    def record(what):
        with transaction() as session:
            session.add(models.Item(name=what))

    return record


def answer():
    return JSONResponse({}, status_code=401)


def test_exception(visit, record, rows):
    app = FastAPI()

    @app.post("/login")
    def log_in():
        record("failed login")
        raise HTTPException(status_code=401)

    with visit(app) as client:
        assert client.post("/login").status_code == 401
    assert rows() == 1


def test_response(visit, record, rows):
    app = FastAPI()

    @app.post("/login")
    async def log_in():
        record("failed login")
        return answer()

    with visit(app) as client:
        assert client.post("/login").status_code == 401
    assert rows() == 1


def test_record_in_a_thread(visit, record, rows):
    app = FastAPI()

    @app.post("/login")
    async def log_in():
        await run_in_threadpool(record, "failed login")
        return answer()

    with visit(app) as client:
        assert client.post("/login").status_code == 401
    assert rows() == 1


@pytest.mark.parametrize("kind", ["partial", "instance"])
def test_handler_that_is_no_function(visit, record, rows, kind):
    class LogIn:
        def __call__(self):
            record("failed login")
            return answer()

    app = FastAPI()
    endpoint = partial(LogIn().__call__) if kind == "partial" else LogIn()
    app.add_api_route("/login", endpoint, methods=["POST"])
    with visit(app) as client:
        assert client.post("/login").status_code == 401
    assert rows() == 1
