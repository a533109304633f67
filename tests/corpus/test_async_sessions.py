"""AsyncSession as its documentation shows it, under FastAPI and in jobs."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import func, select

pytest.importorskip("aiosqlite")

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


@pytest.fixture
def session_local(async_engine):
    return async_sessionmaker(async_engine, expire_on_commit=False)


@pytest.fixture
def app(session_local, disposing, before_response, models):
    app = FastAPI(lifespan=disposing)

    async def get_db():
        async with session_local() as db:
            yield db

    async def get_unit_of_work():
        async with session_local.begin() as db:
            yield db

    Db = Annotated[Any, Depends(get_db)]
    UnitOfWork = Annotated[Any, Depends(get_unit_of_work, **before_response)]

    @app.post("/items/{name}")
    async def add(name: str, db: Db):
        item = models.Item(name=name)
        db.add(item)
        await db.commit()
        return {"id": item.id}

    @app.put("/items/{name}")
    async def put(name: str, db: UnitOfWork):
        db.add(models.Item(name=name))
        await db.flush()
        if name.startswith("bad"):
            raise HTTPException(status_code=400)
        return {"name": name}

    @app.get("/items/{name}")
    async def read(name: str, db: Db):
        item = await db.scalar(select(models.Item).where(models.Item.name == name))
        if item is None:
            raise HTTPException(status_code=404)
        return {"id": item.id}

    return app


def test_one_by_one(visit, app, rows):
    with visit(app) as client:
        assert client.post("/items/a").json() == {"id": 1}
        assert client.get("/items/a").json() == {"id": 1}
        assert client.get("/items/b").status_code == 404
        assert client.request("PUT", "/items/b").status_code == 200
        assert client.request("PUT", "/items/bad").status_code == 400
    assert rows() == 2


def test_twenty_at_once(visit, app, rows):
    with visit(app) as client:
        for method in ("POST", "PUT"):
            names = [(method, f"/items/{method}{number}", None) for number in range(20)]
            assert client.at_once(*names) == [200] * 20
        refused = [("PUT", f"/items/bad{number}", None) for number in range(10)]
        missing = [("GET", f"/items/{number}", None) for number in range(10)]
        assert client.at_once(*refused, *missing) == [400] * 10 + [404] * 10
    assert rows() == 40


def test_run_sync(watch, run_async, models, rows):
    def add(session):
        session.add(models.Item(name="a"))
        session.flush()
        return session.scalar(select(func.count()).select_from(models.Item))

    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                assert await session.run_sync(add) == 1
                await session.commit()

    run_async(body)
    assert rows() == 1


def test_stream_scalars(watch, run_async, models, rows):
    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                session.add_all(models.Item(name=str(number)) for number in range(30))
                await session.commit()
            async with AsyncSession(engine) as session:
                names = select(models.Item.name).execution_options(yield_per=10)
                found = [name async for name in await session.stream_scalars(names)]
                assert len(found) == 30

    run_async(body)
    assert rows() == 30


def test_explicit_close(watch, run_async, models, rows):
    async def body(engine):
        with watch.owner("job"):
            session = AsyncSession(engine)
            try:
                session.add(models.Item(name="a"))
                await session.commit()
                await session.refresh((await session.scalars(select(models.Item))).one())
            finally:
                await session.close()

    run_async(body)
    assert rows() == 1


def test_attributes_that_are_awaited(watch, run_async, models):
    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                item = models.Item(name="a")
                session.add(item)
                await session.commit()
                await session.refresh(item, ["name"])
                assert item.name == "a"
                assert (await session.connection()).sync_connection is not None

    run_async(body)


def test_engine_for_each_event_loop(watch, database_path, run_async, models, rows):
    """Workers that call `asyncio.run` for each job: an engine belongs to one loop, so each has
    its own, without a pool, and disposes of it."""
    from sqlalchemy.pool import NullPool

    def job(name):
        async def work(engine):
            with watch.owner("job"):
                async with AsyncSession(engine) as session, session.begin():
                    session.add(models.Item(name=name))

        run_async(work, poolclass=NullPool)

    for name in "abc":
        job(name)
    assert rows() == 3


def test_engine_that_each_job_makes_and_disposes_of(watch, async_engine, models, rows):
    import asyncio

    from sqlalchemy.ext.asyncio import create_async_engine

    async def work(name):
        with watch.owner("job"):
            engine = create_async_engine(async_engine.url)
            async with AsyncSession(engine) as session, session.begin():
                session.add(models.Item(name=name))
            await engine.dispose()

    for name in "abc":
        asyncio.run(work(name))
    assert rows() == 3
