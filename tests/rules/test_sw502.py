"""SW502 nested-checkout."""

import asyncio
import threading
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

ONE = select(1)


def test_second_session_within_the_first(found, app, call, make_session):
    @app.get("/items")
    def read_items():
        with make_session() as session:
            session.execute(ONE)
            with make_session() as another:
                another.execute(ONE)

    call(app, "/items")
    finding = found.only_finding("SW502")
    assert (finding["severity"], finding["evidence"]) == ("warning", "suspect")
    assert "GET /items took a second connection of a pool (1 of 5 in use) at" in finding["message"]
    assert "while it holds the connection of the session opened at" in finding["message"]


def test_twin_with_one_after_the_other(found, app, call, make_session):
    @app.get("/items")
    def read_items():
        for _ in range(2):
            with make_session() as session:
                session.execute(ONE)

    call(app, "/items")
    assert found.codes == []


def test_waiting_for_the_second(found, app, call, make_engine):
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.01)

    @app.get("/items")
    def read_items():
        with Session(engine) as session, Session(engine) as another:
            session.execute(ONE)
            with pytest.raises(PoolTimeoutError):
                another.execute(ONE)

    call(app, "/items")
    assert found.codes == ["SW501", "SW502", "SW504"]
    nested = found.findings[1]
    assert (nested["severity"], nested["evidence"]) == ("error", "proof")
    assert nested["related"] == ["SW501"]
    assert "GET /items waits for a second connection" in nested["message"]


def test_background_task_beside_the_request_is_info(found, app, call, dependencies, make_session):
    """The client has its answer, and nobody waits for the request's own connection."""

    @app.get("/items")
    def read_items(tasks: BackgroundTasks, db: Annotated[Any, Depends(dependencies.close_only)]):
        def work():
            with make_session() as own:
                own.execute(ONE)

        db.execute(ONE)
        tasks.add_task(work)

    call(app, "/items")
    assert [each["severity"] for each in found.findings] in ([], ["info"])


class TestSilent:
    def test_two_pools(self, found, app, call, make_engine):
        primary, replica = (make_engine(pool_size=5, max_overflow=0) for _ in range(2))

        @app.get("/items")
        def read_items():
            with Session(primary) as session, Session(replica) as another:
                session.execute(ONE)
                another.execute(ONE)

        call(app, "/items")
        assert found.codes == []

    def test_tasks_side_by_side(self, found, app, call, run_async):
        from sqlalchemy.ext.asyncio import AsyncSession

        async def body(engine):
            both = asyncio.Barrier(2)

            async def work():
                async with AsyncSession(engine) as session:
                    await session.execute(ONE)
                    await both.wait()

            @app.get("/items")
            async def read_items():
                await asyncio.gather(work(), work())

            import httpx

            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                await client.get("/items")

        run_async(body)
        assert found.codes == []

    def test_threads_side_by_side(self, found, app, call, make_session):
        both = threading.Barrier(2, timeout=10)

        def work():
            with make_session() as session:
                session.execute(ONE)
                both.wait()

        @app.get("/items")
        async def read_items():
            await asyncio.gather(asyncio.to_thread(work), asyncio.to_thread(work))

        call(app, "/items")
        assert found.codes == []

    def test_session_on_a_connection_that_is_out_already(self, found, app, call, engine):
        @app.get("/items")
        def read_items():
            with engine.connect() as connection, Session(connection) as session:
                session.execute(ONE)

        call(app, "/items")
        assert found.codes == []

    def test_job_that_copies(self, watch, seen, make_session):
        with watch.owner("copy"), make_session() as source, make_session() as target:
            source.execute(ONE)
            target.execute(ONE)
        assert seen.codes == []
