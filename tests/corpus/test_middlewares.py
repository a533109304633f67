"""Sessions under and in middlewares: `BaseHTTPMiddleware` runs the application in another task."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.middleware.gzip import GZipMiddleware
from sqlalchemy import select
from starlette.middleware.base import BaseHTTPMiddleware


@pytest.fixture
def app(make_session, models):
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        if name == "bad":
            raise HTTPException(status_code=400)
        db.add(models.Item(name=name))
        db.commit()
        return {"name": name}

    return app


REQUESTS = [("POST", f"/items/{number}", None) for number in range(20)]


def test_base_http_middleware_around(visit, app, rows):
    async def pass_on(request, call_next):
        response = await call_next(request)
        response.headers["x-seen"] = "yes"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(GZipMiddleware)
    with visit(app) as client:
        assert client.at_once(*REQUESTS) == [200] * 20
        assert client.post("/items/bad").status_code == 400
        assert client.post("/items/good").headers["x-seen"] == "yes"
    assert rows() == 21


def test_session_in_the_state_of_the_request(visit, make_session, models, rows):
    """The older tutorial's other way: a middleware opens, the handler commits."""
    app = FastAPI()

    @app.middleware("http")
    async def open_session(request: Request, call_next):
        request.state.db = make_session()
        try:
            return await call_next(request)
        finally:
            request.state.db.close()

    def get_db(request: Request):
        return request.state.db

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        db.add(models.Item(name=name))
        db.commit()
        return {"name": name}

    with visit(app) as client:
        assert client.at_once(*REQUESTS) == [200] * 20
    assert rows() == 20


def test_middleware_that_commits_what_succeeded(visit, make_session, models, rows):
    """It commits when it has the answer, and passes that on afterwards."""
    app = FastAPI()

    @app.middleware("http")
    async def unit_of_work(request: Request, call_next):
        with make_session() as db:
            request.state.db = db
            response = await call_next(request)
            if response.status_code < 400:
                db.commit()
            else:
                db.rollback()
        return response

    @app.post("/items/{name}")
    async def add(name: str, request: Request):
        request.state.db.add(models.Item(name=name))
        request.state.db.flush()
        if name == "bad":
            raise HTTPException(status_code=400)
        return {"name": name}

    with visit(app) as client:
        assert client.post("/items/bad").status_code == 400
        assert [client.request(*request[:2]).status_code for request in REQUESTS] == [200] * 20
    assert rows() == 20


def test_access_log_that_is_written_after_the_response(visit, app, make_session, models, rows):
    """Pure ASGI: its session begins when the response is complete."""

    class AccessLog:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)
            if scope["type"] == "http":
                with make_session.begin() as db:
                    db.add(models.Item(name=f"{scope['method']} {scope['path']}"))

    app.add_middleware(AccessLog)
    with visit(app) as client:
        assert client.at_once(*REQUESTS) == [200] * 20
    assert rows() == 40


def test_maintenance_mode_that_a_middleware_reads(visit, app, make_session, models):
    @app.middleware("http")
    async def refuse(request: Request, call_next):
        with make_session() as db:
            closed = db.scalar(select(models.Item).where(models.Item.name == "closed"))
        if closed:
            from fastapi.responses import JSONResponse

            return JSONResponse({}, status_code=503)
        return await call_next(request)

    with visit(app) as client:
        assert client.post("/items/closed").status_code == 200
        assert client.at_once(*REQUESTS) == [503] * 20


def test_mounted_application(visit, app, rows):
    outer = FastAPI()
    outer.mount("/shop", app)
    with visit(outer) as client:
        answers = client.at_once(*[("POST", f"/shop{path}", None) for _, path, _ in REQUESTS])
        assert answers == [200] * 20
    assert rows() == 20
