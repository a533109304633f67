"""Registries of sessions: by thread, by a scope of one's own, by task; removed at the end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.orm import scoped_session


def test_thread_local_registry(watch, make_session, models, rows):
    registry = scoped_session(make_session)
    with watch.owner("job"):
        registry.add(models.Item(name="a"))
        registry.commit()
        registry.remove()
    assert rows() == 1


def test_each_thread_has_its_own(watch, make_session, models, rows):
    registry = scoped_session(make_session)

    def work(name):
        with watch.owner("job"):
            try:
                registry.add(models.Item(name=name))
                registry.commit()
            finally:
                registry.remove()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, map(str, range(20))))
    assert rows() == 20


def test_registry_that_stays_from_job_to_job(watch, make_session, models, rows):
    """A worker that never removes: each job leaves its session in the registry, ended."""
    registry = scoped_session(make_session)
    with watch.owner("worker"):
        for name in "ab":
            registry.add(models.Item(name=name))
            registry.commit()
    registry.remove()
    assert rows() == 2


@pytest.fixture
def request_scope():
    return ContextVar[Any]("request_scope")


@pytest.fixture
def app(make_session, models, request_scope):
    """A registry by request, which a middleware removes from."""
    registry = scoped_session(make_session, scopefunc=request_scope.get)
    app = FastAPI()

    @app.middleware("http")
    async def remove(request: Request, call_next):
        token = request_scope.set(object())
        try:
            return await call_next(request)
        finally:
            registry.remove()
            request_scope.reset(token)

    @app.post("/items/{name}")
    def add(name: str):
        registry.add(models.Item(name=name))
        if name == "bad":
            registry.flush()
            registry.rollback()
            raise HTTPException(status_code=400)
        registry.commit()
        return {"id": registry.scalar(select(models.Item.id).where(models.Item.name == name))}

    @app.get("/items")
    async def read():
        return list(registry.scalars(select(models.Item.name)))

    return app


def test_registry_by_request(visit, app, rows):
    with visit(app) as client:
        assert client.post("/items/a").json() == {"id": 1}
        assert client.post("/items/bad").status_code == 400
        assert client.get("/items").json() == ["a"]
        names = [("POST", f"/items/{number}", None) for number in range(20)]
        assert client.at_once(*names) == [200] * 20
    assert rows() == 21


def test_query_property(watch, make_session, models):
    registry = scoped_session(make_session)
    with watch.owner("job"):
        assert registry.query_property
        assert registry().scalars(select(models.Item)).all() == []
        registry.remove()


def test_registry_by_task(watch, run_async, models, rows):
    from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker

    async def body(engine):
        registry = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)

        async def work(name):
            registry.add(models.Item(name=name))
            await registry.commit()
            await registry.remove()

        with watch.owner("job"):
            await asyncio.gather(*(work(str(number)) for number in range(5)))

    run_async(body)
    assert rows() == 5


def test_registry_of_a_thread_of_ones_own(make_session, models, rows):
    """Context variables don't reach the thread: its session belongs to the process."""
    registry = scoped_session(make_session)

    def work():
        registry.add(models.Item(name="a"))
        registry.commit()
        registry.remove()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert rows() == 1
