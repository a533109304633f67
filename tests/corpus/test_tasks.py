"""Tasks of one event loop, each with a session of its own, some of which outlive their request."""

import asyncio

import anyio
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

pytest.importorskip("aiosqlite")

from sqlalchemy.ext.asyncio import async_sessionmaker


@pytest.fixture
def session_local(async_engine):
    return async_sessionmaker(async_engine, expire_on_commit=False)


@pytest.fixture
def app(disposing):
    return FastAPI(lifespan=disposing)


@pytest.fixture
def count(models, session_local):
    async def count(name=None):
        async with session_local() as db:
            return await db.scalar(select(func.count()).select_from(models.Item))

    return count


@pytest.fixture
def add(models, session_local):
    async def add(name):
        async with session_local.begin() as db:
            db.add(models.Item(name=name))

    return add


def test_gather(visit, app, count):
    @app.get("/counts")
    async def counts():
        return await asyncio.gather(*(count() for _ in range(3)))

    with visit(app) as client:
        assert client.get("/counts").json() == [0, 0, 0]
        assert client.at_once(*[("GET", "/counts", None)] * 4) == [200] * 4


def test_task_group_of_asyncio(visit, app, count):
    @app.get("/counts")
    async def counts():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(count()) for _ in range(3)]
        return [task.result() for task in tasks]

    with visit(app) as client:
        assert client.get("/counts").json() == [0, 0, 0]


def test_task_group_of_anyio(visit, app, add, rows):
    @app.post("/items")
    async def items():
        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(add, name)
        return {}

    with visit(app) as client:
        assert client.post("/items").status_code == 200
    assert rows() == 3


def test_gather_in_a_job_with_as_many_tasks_as_connections(watch, run_async, models):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        async def read():
            async with AsyncSession(engine) as db:
                return (await db.scalars(select(models.Item))).all()

        with watch.owner("job"):
            await asyncio.gather(*(read() for _ in range(15)))

    run_async(body)


def test_worker_tasks_that_share_a_queue(watch, run_async, models, rows):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        queue = asyncio.Queue()
        for number in range(20):
            queue.put_nowait(str(number))

        async def work():
            while not queue.empty():
                name = queue.get_nowait()
                async with AsyncSession(engine) as db, db.begin():
                    db.add(models.Item(name=name))

        with watch.owner("import"):
            await asyncio.gather(*(work() for _ in range(3)))

    run_async(body)
    assert rows() == 20


def test_child_that_outlives_the_request(visit, app, add, count, rows):
    """It opens its session when the response has been sent, and closes it."""
    children = []

    @app.post("/items/{name}")
    async def later(name: str):
        go_on = asyncio.Event()

        async def child():
            await go_on.wait()
            await add(name)

        children.append((asyncio.create_task(child()), go_on))
        return {}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{name}", None) for name in "abc"]) == [200] * 3
        for task, go_on in children:
            go_on.set()
            client.run(task)
    assert rows() == 3


def test_child_that_reads_while_the_request_ends(visit, app, session_local, models):
    """Its session was opened before the response, and is closed some time after."""
    children = []

    @app.get("/items")
    async def read():
        reading, go_on = asyncio.Event(), asyncio.Event()

        async def child():
            async with session_local() as db:
                await db.scalars(select(models.Item))
                reading.set()
                await go_on.wait()

        children.append((asyncio.create_task(child()), go_on))
        await reading.wait()
        return {}

    with visit(app) as client:
        assert client.at_once(*[("GET", "/items", None)] * 3) == [200] * 3
        for task, go_on in children:
            go_on.set()
            client.run(task)


def test_first_answer_wins(visit, app, count):
    """The slower tasks are cancelled, and close their sessions on the way out."""

    async def slow(session_open):
        await count()
        session_open.set()
        await asyncio.Event().wait()

    @app.get("/race")
    async def race():
        session_open = asyncio.Event()
        tasks = [asyncio.create_task(slow(session_open)), asyncio.create_task(count())]
        await session_open.wait()
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return len(done)

    with visit(app) as client:
        assert client.get("/race").json() == 1


def test_sync_sessions_on_the_event_loop_that_are_quick(visit, make_session, models):
    app = FastAPI()

    @app.get("/count")
    async def count():
        with make_session() as db:
            return db.scalar(select(func.count()).select_from(models.Item))

    with visit(app) as client:
        assert client.at_once(*[("GET", "/count", None)] * 20) == [200] * 20


def test_one_session_by_turns(visit, app, session_local, models):
    """A session is handed to one awaited coroutine after the other, never to two at once."""

    async def number(db):
        return await db.scalar(select(func.count()).select_from(models.Item))

    @app.get("/twice")
    async def twice():
        async with session_local() as db:
            first = await asyncio.create_task(number(db))
            second = await asyncio.wait_for(number(db), 60)
            return [first, second]

    with visit(app) as client:
        assert client.get("/twice").json() == [0, 0]


def test_session_behind_a_lock(visit, app, session_local, models):
    """Tasks that share a session do so one at a time."""

    @app.get("/locked")
    async def locked():
        lock = asyncio.Lock()
        async with session_local() as db:

            async def number():
                async with lock:
                    return await db.scalar(select(func.count()).select_from(models.Item))

            return await asyncio.gather(*(number() for _ in range(5)))

    with visit(app) as client:
        assert client.get("/locked").json() == [0] * 5
