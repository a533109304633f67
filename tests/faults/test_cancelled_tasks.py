"""Two thousand tasks at once, many of them cancelled wherever they happen to be."""

from __future__ import annotations

import asyncio
import gc
from random import Random

import pytest
import sqlalchemy
from sqlalchemy import select

from sessionwatch import SessionWatchMiddleware

TASKS = 2_000
ONE = select(1)
MOST_LOST = 0 if sqlalchemy.__version__ >= "2.1" else 5
"""SQLAlchemy 2.0.40 itself loses one to three connections of two thousand tasks, in every second
run on a busy machine, with no watch running; not all of them come back by themselves."""


class Crowd:
    """Tasks in which sessions are used, and one that cancels others at random."""

    def __init__(self, watch, truth, engine, tally, seed):
        self.watch = watch
        self.tally = tally
        self.truth = truth
        self.engine = engine
        self.random = Random(seed)
        self.ended = {"done": 0, "cancelled": 0}

    def session(self):
        from sqlalchemy.ext.asyncio import AsyncSession

        return AsyncSession(self.engine, sync_session_class=self.truth.session_class)

    async def work(self, number):
        try:
            if number % 3 == 0:
                await self._request()
            elif number % 3 == 1:
                with self.watch.owner("job"):
                    await self._use(2)
            else:
                await self._use(1)
            self.ended["done"] += 1
        except asyncio.CancelledError:
            self.ended["cancelled"] += 1
            raise

    async def _use(self, times):
        async with self.session() as session:
            for _ in range(times):
                await session.execute(ONE)
            await session.commit()

    async def _request(self):
        async def app(scope, receive, send):
            await self._use(2)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def send(message):
            await asyncio.sleep(0)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await SessionWatchMiddleware(app, self.watch)(scope, None, send)

    async def run(self, number):
        tasks = [asyncio.ensure_future(self.work(each)) for each in range(number)]
        doomed = self.random.sample(tasks, number // 3)
        while doomed and not all(task.done() for task in tasks):
            doomed.pop().cancel()
            await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        errors = {type(each) for each in results if each is not None}
        del results
        # SQLAlchemy closes a session in a task of its own, which goes on when ours is cancelled.
        closing = asyncio.all_tasks() - {asyncio.current_task()}
        if closing:
            await asyncio.wait(closing)
        # Every one that was checked out is back, and so may be some of which that was never told,
        # as they were cancelled on the way. `pool.checkedout()` may count more, with or without a
        # watch: what `asyncio.wait_for` of Python 3.11 is given at the moment when it is cancelled
        # is lost to SQLAlchemy's queue.
        del tasks, doomed
        gc.collect()
        assert number / 2 < self.tally["checkouts"] <= self.tally["checkins"] + MOST_LOST
        assert errors <= {asyncio.CancelledError}, errors


def test_two_thousand_tasks(watch, run_async, make_tally, truth, unharmed):
    """On aiosqlite, whose connections a cancelled statement does not spoil."""
    crowds = []

    async def body(engine):
        crowd = Crowd(watch, truth, engine, make_tally(engine.sync_engine), seed=1)
        crowds.append(crowd)
        await crowd.run(TASKS)

    run_async(body, pool_size=20, pool_timeout=60)
    ended = crowds.pop().ended
    assert min(ended.values()) > 100
    totals = unharmed(watch, opened=None if MOST_LOST else -1)
    assert totals["closed"] == totals["opened"] == truth.opened > 1000
    assert 0 <= totals["checkouts"] - totals["checkins"] <= MOST_LOST


# asyncpg leaves the socket of a connection that it was cancelled in the midst of making.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_tasks_on_postgres(watch, postgres_url, make_tally, truth, unharmed):
    """A statement that is cancelled on its way has its connection thrown away."""
    pytest.importorskip("asyncpg")
    from sqlalchemy.ext.asyncio import create_async_engine

    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    crowds = []

    async def main():
        engine = create_async_engine(url, pool_size=10, pool_timeout=60)
        crowd = Crowd(watch, truth, engine, make_tally(engine.sync_engine), seed=2)
        crowds.append(crowd)
        await crowd.run(200)
        await engine.dispose()

    asyncio.run(main())
    ended = crowds.pop().ended
    assert min(ended.values()) > 10
    unharmed(watch)
