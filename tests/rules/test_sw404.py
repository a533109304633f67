"""SW404 loop-blocked."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from sessionwatch import SessionWatchMiddleware, Settings

ONE = select(1)
SLOW = text("SELECT pass_time(0.25)")


def _can_pass_time(engine, clock):
    """Give the database a function that lets the test's clock run on."""

    @event.listens_for(engine, "connect")
    def add_function(connection, entry):
        if hasattr(connection, "create_function"):
            connection.create_function("pass_time", 1, clock.advance)

    return engine


@pytest.fixture
def slow_engine(engine, clock):
    return _can_pass_time(engine, clock)


@pytest.fixture
def in_a_loop(watch):
    """Run a synchronous function of a job in an event loop."""

    def in_a_loop(work):
        async def main():
            with watch.owner("job"):
                return work()

        return asyncio.run(main())

    return in_a_loop


def _query(engine, statement=SLOW):
    with Session(engine) as session:
        session.execute(statement)


def test_slow_statement_in_the_loop(seen, in_a_loop, slow_engine):
    in_a_loop(lambda: _query(slow_engine))
    finding = seen.only_finding("SW404")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "loop-blocked",
        "warning",
        "suspect",
    )
    assert finding["details"] == {"blocked_seconds": pytest.approx(0.25), "checkout": False}
    assert finding["opened_at"]["function"] == "_query"
    assert (
        "kept the event loop from everything else for 0.25 s with a synchronous statement"
        in (finding["message"])
    )


def test_twin_runs_in_a_thread(watch, seen, slow_engine):
    async def main():
        with watch.owner("job"):
            await asyncio.to_thread(_query, slow_engine)

    asyncio.run(main())
    assert seen.codes == []


def test_twin_uses_an_async_driver(watch, seen, run_async, clock):
    async def body(engine):
        from sqlalchemy.ext.asyncio import AsyncSession

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def pass_time(*arguments):
            clock.advance(0.25)

        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                await session.execute(ONE)

    run_async(body)
    assert seen.codes == []


def test_statement_that_fails_after_a_while(watch, seen, in_a_loop, make_engine, clock):
    engine = make_engine()

    def fail(*arguments):
        clock.advance(5)
        raise OperationalError("BEGIN", {}, Exception("database is locked"))

    def work():
        with Session(engine) as session:
            session.connection()
            event.listen(engine, "before_cursor_execute", fail)
            with pytest.raises(OperationalError):
                session.execute(ONE)

    in_a_loop(work)
    assert seen.only_finding("SW404")["details"]["blocked_seconds"] == 5


@pytest.mark.parametrize(("seconds", "codes"), [(0.099, []), (0.1, ["SW404"])])
def test_threshold(seen, in_a_loop, slow_engine, seconds, codes):
    in_a_loop(lambda: _query(slow_engine, text(f"SELECT pass_time({seconds})")))
    assert seen.codes == codes


@pytest.mark.parametrize(("threshold", "codes"), [(None, []), (0.3, []), (0.2, ["SW404"])])
def test_threshold_is_a_setting(make_watch, read, slow_engine, threshold, codes):
    watch = make_watch(Settings(loop_blocked_seconds=threshold))

    async def main():
        with watch.owner("job"):
            _query(slow_engine)

    asyncio.run(main())
    assert read(watch).codes == codes


class TestCheckout:
    @pytest.fixture
    def small(self, make_engine):
        return make_engine(pool_size=1, max_overflow=0, pool_timeout=0.01)

    @pytest.fixture
    def slow_pool(self, small, clock, monkeypatch):
        """An engine whose pool takes its time to give a connection."""
        get = small.pool._do_get

        def slowly():
            clock.advance(0.5)
            return get()

        monkeypatch.setattr(small.pool, "_do_get", slowly)
        return small

    def test_that_takes_long(self, seen, in_a_loop, slow_pool):
        in_a_loop(lambda: _query(slow_pool, ONE))
        finding = seen.only_finding("SW404")
        assert finding["details"] == {"blocked_seconds": 0.5, "checkout": True}
        assert "for 0.50 s with a wait for a connection at" in finding["message"]
        assert finding["opened_at"]["function"] == "_query"

    def test_twin_in_a_thread(self, watch, seen, slow_pool):
        async def main():
            with watch.owner("job"):
                await asyncio.to_thread(_query, slow_pool, ONE)

        asyncio.run(main())
        assert seen.codes == []

    def test_that_waits_in_vain(self, seen, in_a_loop, slow_pool):
        def work():
            with slow_pool.connect(), pytest.raises(PoolTimeoutError):
                slow_pool.connect()

        in_a_loop(work)
        assert seen.codes == ["SW404", "SW404", "SW501"]

    def test_of_an_async_pool(self, watch, seen, run_async, clock, monkeypatch):
        async def body(engine):
            get = engine.pool._do_get

            def slowly():
                clock.advance(0.5)
                return get()

            monkeypatch.setattr(engine.pool, "_do_get", slowly)
            with watch.owner("job"):
                async with engine.connect():
                    pass

        run_async(body)
        assert seen.codes == []


class TestSilent:
    def test_no_loop(self, watch, seen, slow_engine):
        with watch.owner("job"):
            _query(slow_engine)
        assert seen.codes == []

    def test_process_by_itself(self, watch, seen, slow_engine):
        async def main():
            _query(slow_engine)

        asyncio.run(main())
        assert seen.codes == []

    def test_many_quick_statements(self, seen, in_a_loop, slow_engine):
        def work():
            with Session(slow_engine) as session:
                for _ in range(5):
                    session.execute(text("SELECT pass_time(0.09)"))

        in_a_loop(work)
        assert seen.codes == []

    def test_time_between_statements(self, seen, in_a_loop, slow_engine, clock):
        def work():
            with Session(slow_engine) as session:
                session.execute(ONE)
                clock.advance(60)
                session.execute(ONE)

        in_a_loop(work)
        assert seen.codes == []


def test_process_while_a_request_is_under_way(watch, seen, slow_engine):
    async def main():
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def job():
            with watch.owner("job"):
                begun.set()
                await go_on.wait()

        task = asyncio.create_task(job())
        await begun.wait()
        _query(slow_engine)
        go_on.set()
        await task

    asyncio.run(main())
    assert seen.only_finding("SW404")["owner"]["kind"] == "process"


@pytest.mark.parametrize(("is_async", "codes"), [(True, ["SW404"]), (False, [])])
def test_handlers(watch, seen, call, slow_engine, is_async, codes):
    from fastapi import FastAPI

    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)
    threads = []

    async def read_async():
        threads.append(threading.current_thread())
        _query(slow_engine)

    def read_sync():
        threads.append(threading.current_thread())
        _query(slow_engine)

    app.get("/items")(read_async if is_async else read_sync)
    assert call(app, "/items").status_code == 200
    assert (threads[0] is threading.main_thread()) is is_async
    assert seen.codes == codes
    if codes:
        assert seen.findings[0]["owner"]["route"] == "GET /items"
