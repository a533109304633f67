"""SW504 capacity-mismatch."""

from __future__ import annotations

import asyncio
import threading

import pytest
from anyio import to_thread
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import event, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from sessionwatch import SessionWatchMiddleware

ONE = select(1)


class TellingPool(QueuePool):
    """Tells when somebody asks while nothing is left."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.asked = threading.Event()

    def _do_get(self):
        if self.checkedout() >= self.size() + self._max_overflow >= 0:
            self.asked.set()
        return super()._do_get()


@pytest.fixture
def small(make_engine):
    """An engine with one connection, which waits as long as it takes."""
    return make_engine(poolclass=TellingPool, pool_size=1, max_overflow=0, pool_timeout=30)


@pytest.fixture
def app(watch):
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)
    return app


def _two_at_once(app, engine, threads=40):
    """Add a route in which one thread waits for the connection of another; it is returned then."""

    def first(holding):
        with engine.connect() as connection:
            connection.execute(ONE)
            holding.set()
            assert engine.pool.asked.wait(30)

    def second(holding):
        assert holding.wait(30)
        with engine.connect() as connection:
            connection.execute(ONE)

    @app.get("/items")
    async def read_items():
        to_thread.current_default_thread_limiter().total_tokens = threads
        holding = threading.Event()
        await asyncio.gather(run_in_threadpool(first, holding), run_in_threadpool(second, holding))


def test_threads_that_wait_for_a_small_pool(seen, app, call, small, database_path):
    _two_at_once(app, small)
    assert call(app, "/items").status_code == 200
    finding = seen.only_finding("SW504")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "capacity-mismatch",
        "info",
        "suspect",
    )
    name = f"sqlite:///{database_path}"
    assert finding["details"] == {
        "pool": name,
        "threads": 40,
        "capacity": 1,
        "waits": 1,
        "waited_seconds": 0,
    }
    assert finding["owner"]["kind"] == "process"
    assert (
        f"40 threads may work for requests at once, and the pool {name} gives 1 connection"
        in (finding["message"])
    )


def test_twin_has_as_few_threads_as_connections(seen, app, call, make_engine):
    """There were waits all the same, as two connections were held by somebody else."""
    engine = make_engine(poolclass=TellingPool, pool_size=2, max_overflow=0, pool_timeout=30)
    with engine.connect():
        _two_at_once(app, engine, threads=2)
        assert call(app, "/items").status_code == 200
    assert seen.pool["waits"] == 1
    assert seen.codes == []


def test_twin_has_a_pool_as_large_as_the_threads(seen, app, call, make_engine):
    engine = make_engine(poolclass=QueuePool, pool_size=20, max_overflow=20)

    def work():
        with engine.connect() as connection:
            connection.execute(ONE)

    @app.get("/items")
    async def read_items():
        await asyncio.gather(*(run_in_threadpool(work) for _ in range(20)))

    assert call(app, "/items").status_code == 200
    assert seen.pool["waits"] == 0
    assert seen.codes == []


def test_told_once_for_each_pool(seen, app, call, small):
    _two_at_once(app, small)
    for _ in range(3):
        small.pool.asked.clear()
        call(app, "/items")
    assert len(seen.findings) == 1
    assert seen.findings[0]["count"] == 3
    assert seen.findings[0]["details"]["waits"] == 3


def test_threads_without_a_limit(seen, app, call, small):
    _two_at_once(app, small, threads=float("inf"))
    call(app, "/items")
    finding = seen.only_finding("SW504")
    assert finding["details"]["threads"] is None
    assert "any number of threads may work" in finding["message"]


def test_wait_in_vain(seen, app, call, make_engine):
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.001)

    @app.get("/items")
    def read_items():
        with engine.connect(), pytest.raises(PoolTimeoutError):
            engine.connect()

    assert call(app, "/items").status_code == 200
    assert seen.codes == ["SW501", "SW502", "SW504"]
    (mismatch,) = (each for each in seen.findings if each["code"] == "SW504")
    assert mismatch["related"] == ["SW501"]


class TestWaits:
    def test_are_counted_and_measured(self, watch, seen, clock, small, monkeypatch):
        get = small.pool._do_get
        held = []

        def wait():
            if held:
                clock.advance(1.5)
                held.pop().close()
            return get()

        monkeypatch.setattr(small.pool, "_do_get", wait)
        with watch.owner("job"):
            connection = small.connect()
            held.append(connection)
            small.connect().close()
        assert (seen.pool["waits"], seen.pool["waited_seconds"]) == (1, 1.5)
        assert seen.codes == []

    def test_for_a_connection_that_is_being_made(self, watch, seen, small):
        """Nobody holds it yet, and it is promised all the same."""
        making = threading.Event()

        @event.listens_for(small, "connect")
        def make(connection, entry):
            making.set()
            assert small.pool.asked.wait(30)

        def work():
            small.connect().close()

        first = threading.Thread(target=work)
        first.start()
        assert making.wait(30)
        work()
        first.join(30)
        assert seen.pool["waits"] == 1

    def test_for_connections_that_left_before_the_watch(self, make_watch, read, small):
        held = small.connect()
        watch = make_watch()
        thread = threading.Thread(target=lambda: small.connect().close())
        thread.start()
        assert small.pool.asked.wait(30)
        held.close()
        thread.join(30)
        assert read(watch).pool["waits"] == 1

    def test_are_none_while_there_is_room(self, watch, seen, engine):
        with watch.owner("job"):
            for _ in range(8):
                with Session(engine) as session:
                    session.execute(ONE)
        assert (seen.pool["waits"], seen.pool["waited_seconds"]) == (0, 0)

    @pytest.mark.parametrize("options", [{"max_overflow": -1}, {"pool_size": 0}])
    def test_are_none_in_a_pool_without_a_limit(self, watch, seen, make_engine, options):
        engine = make_engine(**options)
        with watch.owner("job"):
            connections = [engine.connect() for _ in range(20)]
        for connection in connections:
            connection.close()
        assert seen.pool["waits"] == 0


class TestSilent:
    def test_waits_of_a_job(self, watch, seen, small):
        first = small.connect()

        def work():
            with watch.owner("job"):
                small.connect().close()

        thread = threading.Thread(target=work)
        thread.start()
        assert small.pool.asked.wait(30)
        first.close()
        thread.join(30)
        assert seen.pool["waits"] == 1
        assert seen.codes == []

    def test_waits_of_an_async_pool(self, watch, seen, app, run_async):
        """No thread waits for those."""
        import httpx

        async def body(engine):
            @app.get("/items")
            async def read_items():
                async def work():
                    async with engine.connect() as connection:
                        await connection.execute(ONE)

                async with engine.connect():
                    waiting = asyncio.create_task(work())
                    await asyncio.sleep(0)
                await waiting

            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                assert (await client.get("/items")).status_code == 200
            assert seen.pool["waits"] == 1

        run_async(body, pool_size=1, max_overflow=0)
        assert seen.codes == []

    def test_small_pool_that_nobody_waits_for(self, seen, app, call, small):
        @app.get("/items")
        def read_items():
            with small.connect() as connection:
                connection.execute(ONE)

        for _ in range(3):
            assert call(app, "/items").status_code == 200
        assert seen.codes == []
