"""Threads, each with a session of its own, or one session that goes from hand to hand."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import anyio.to_thread
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool


@pytest.fixture
def count(make_session, models):
    def count():
        with make_session() as db:
            return db.scalar(select(func.count()).select_from(models.Item))

    return count


@pytest.fixture
def add(make_session, models):
    def add(name):
        with make_session.begin() as db:
            db.add(models.Item(name=name))

    return add


def test_session_for_each_thread_of_a_pool(watch, add, rows):
    def work(name):
        with watch.owner("work"):
            add(name)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, map(str, range(50))))
    assert rows() == 50


def test_threads_that_work_for_one_owner(watch, add, rows):
    with watch.owner("import"), ThreadPoolExecutor(4) as pool:
        contexts = [contextvars.copy_context() for _ in range(8)]
        for future in [pool.submit(each.run, add, str(n)) for n, each in enumerate(contexts)]:
            future.result()
    assert rows() == 8


def test_to_thread(visit, count):
    app = FastAPI()

    @app.get("/asyncio")
    async def by_asyncio():
        return await asyncio.to_thread(count)

    @app.get("/anyio")
    async def by_anyio():
        return await anyio.to_thread.run_sync(count)

    @app.get("/starlette")
    async def by_starlette():
        return await run_in_threadpool(count)

    @app.get("/executor")
    async def by_executor():
        return await asyncio.get_running_loop().run_in_executor(None, count)

    with visit(app) as client:
        paths = ("/asyncio", "/anyio", "/starlette", "/executor")
        requests = [("GET", path, None) for path in paths * 5]
        assert client.at_once(*requests) == [200] * 20


def test_threads_at_the_same_time_in_one_request(visit, count):
    app = FastAPI()

    @app.get("/counts")
    async def counts():
        return await asyncio.gather(*(asyncio.to_thread(count) for _ in range(3)))

    with visit(app) as client:
        assert client.get("/counts").json() == [0, 0, 0]


def test_session_that_goes_from_thread_to_thread(watch, make_session, models, rows):
    """Each thread is done with it before the next begins."""
    with watch.owner("job"), make_session() as session:
        for name in "abc":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(session.add, models.Item(name=name)).result()
                pool.submit(session.flush).result()
        session.commit()
    assert rows() == 3


def test_sync_dependency_and_async_handler(visit, make_session, models, rows):
    """The dependency enters and exits in threads; the handler works on the loop between."""
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    @app.post("/items/{name}")
    async def add(name: str, db: Annotated[Any, Depends(get_db)]):
        await run_in_threadpool(db.add, models.Item(name=name))
        await run_in_threadpool(db.commit)
        return {"name": name}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{n}", None) for n in range(20)]) == [200] * 20
    assert rows() == 20


def test_async_dependency_and_sync_handler(visit, make_session, models, rows):
    app = FastAPI()

    async def get_db():
        with make_session() as db:
            yield db

    @app.post("/items/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        db.add(models.Item(name=name))
        db.commit()
        return {"name": name}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{n}", None) for n in range(20)]) == [200] * 20
    assert rows() == 20


def test_child_thread_that_is_waited_for_at_shutdown(visit, watch, add, rows):
    """The request answers at once; a worker of the application does the rest, as its own job."""
    pool = ThreadPoolExecutor(2)
    app = FastAPI()

    def work(name):
        with watch.owner("work"):
            add(name)

    @app.post("/items/{name}", status_code=202)
    async def later(name: str):
        pool.submit(work, name)
        return {}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{n}", None) for n in range(20)]) == [202] * 20
        pool.shutdown()
    assert rows() == 20
