"""Far more callers than connections: each time-out is the application's own, and is counted."""

from __future__ import annotations

import asyncio
import threading

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sessionwatch import SessionWatchMiddleware

ONE = select(1)
POOL = {"pool_size": 2, "max_overflow": 1, "pool_timeout": 0.05}
IN_VAIN = 60


@pytest.mark.parametrize("inside", ["process", "job"])
def test_storm_of_threads(watch, make_engine, truth, unharmed, side_by_side, inside):
    engine = make_engine(**POOL)
    full = threading.Barrier(IN_VAIN + 3)
    storm_over = threading.Barrier(IN_VAIN + 3)
    refused = []

    def use(session):
        try:
            session.execute(ONE)
        except PoolTimeoutError as error:
            refused.append(error)

    def holder():
        with truth.session_class(engine) as session:
            session.execute(ONE)
            full.wait(30)
            storm_over.wait(30)

    def latecomer():
        full.wait(30)
        if inside == "job":
            with watch.owner("latecomer"), truth.session_class(engine) as session:
                use(session)
        else:
            with truth.session_class(engine) as session:
                use(session)
        storm_over.wait(30)

    side_by_side(*[holder] * 3, *[latecomer] * IN_VAIN)
    assert len(refused) == IN_VAIN
    refused.clear()
    (pool,) = watch.snapshot().pools
    assert (pool["timeouts"], pool["checked_out"], pool["checkouts"]) == (IN_VAIN, 0, 3)
    totals = unharmed(watch, engine)
    assert totals["checkouts"] == 3
    assert watch.process_owner.waited_for is None


def test_storm_of_tasks(watch, run_async, truth, unharmed):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        full, storm_over = asyncio.Event(), asyncio.Event()
        refused = 0

        async def holder():
            async with AsyncSession(engine, sync_session_class=truth.session_class) as session:
                await session.execute(ONE)
                if engine.pool.checkedout() == 3:
                    full.set()
                await storm_over.wait()

        async def latecomer():
            nonlocal refused
            await full.wait()
            with watch.owner("latecomer"):
                async with AsyncSession(engine, sync_session_class=truth.session_class) as session:
                    with pytest.raises(PoolTimeoutError):
                        await session.execute(ONE)
            refused += 1
            if refused == IN_VAIN:
                storm_over.set()

        await asyncio.gather(*(holder() for _ in range(3)), *(latecomer() for _ in range(IN_VAIN)))
        (pool,) = watch.snapshot().pools
        assert (pool["timeouts"], pool["checked_out"]) == (IN_VAIN, 0)

    run_async(body, **POOL)
    unharmed(watch)


def test_storm_of_requests(watch, make_engine, truth, unharmed):
    """A route that takes a second connection while it holds one: all wait for each other."""
    httpx = pytest.importorskip("httpx")
    engine = make_engine(pool_size=2, max_overflow=0, pool_timeout=0.1)
    both_hold = threading.Barrier(2)

    def get_session():
        with truth.session_class(engine) as session:
            yield session

    app = FastAPI()

    @app.get("/nested")
    def nested(session=Depends(get_session)):
        session.execute(ONE)
        both_hold.wait(30)
        try:
            with truth.session_class(engine) as other:
                return {"answer": other.scalar(ONE)}
        except PoolTimeoutError:
            return {"answer": "in vain"}
        finally:
            both_hold.wait(30)

    async def storm():
        transport = httpx.ASGITransport(SessionWatchMiddleware(app, watch))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for _ in range(3):
                answers = await asyncio.gather(*(client.get("/nested") for _ in range(2)))
                assert [each.json() for each in answers] == [{"answer": "in vain"}] * 2
                assert engine.pool.checkedout() == 0

    asyncio.run(storm())
    assert watch.snapshot().pools[0]["timeouts"] == 6
    assert {"SW501", "SW502"} <= {finding["code"] for finding in watch.snapshot().findings}
    totals = unharmed(watch, engine)
    assert totals["owners"] == 6
