"""SW104 use-after-close."""

import asyncio
import threading
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import select
from sqlalchemy.orm import scoped_session

ONE = select(1)


def _in_a_thread(work, *arguments):
    """Run without the context, as an executor does."""
    thread = threading.Thread(target=work, args=arguments)
    thread.start()
    thread.join(10)


async def _request(app, path):
    import httpx

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


def test_task_that_outlives_the_request(found, app, dependencies):
    go_on = asyncio.Event()
    tasks = []

    @app.get("/items")
    async def read_items(db: Annotated[Any, Depends(dependencies.close_only)]):
        async def work():
            await go_on.wait()
            db.execute(ONE)
            db.close()

        db.execute(ONE)
        tasks.append(asyncio.create_task(work()))

    async def main():
        assert (await _request(app, "/items")).status_code == 200
        assert found.codes == []
        go_on.set()
        await tasks[0]

    asyncio.run(main())
    finding = found.only_finding("SW104")
    assert (finding["severity"], finding["evidence"]) == ("error", "proof")
    assert "GET /items opened a session at" in finding["message"]
    assert "in work when GET /items was over" in finding["message"]
    assert finding["opened_at"]["function"] == "close_only"


def test_twin_whose_task_has_a_session_of_its_own(found, app, dependencies, make_session):
    go_on = asyncio.Event()
    tasks = []

    @app.get("/items")
    async def read_items(db: Annotated[Any, Depends(dependencies.close_only)]):
        async def work():
            await go_on.wait()
            with make_session() as own:
                own.execute(ONE)

        db.execute(ONE)
        tasks.append(asyncio.create_task(work()))

    async def main():
        await _request(app, "/items")
        go_on.set()
        await tasks[0]

    asyncio.run(main())
    assert found.codes == []


def test_thread_that_knows_no_owner(found, app, call, dependencies):
    kept = []

    @app.get("/items")
    def read_items(db: Annotated[Any, Depends(dependencies.close_only)]):
        db.execute(ONE)
        kept.append(db)

    call(app, "/items")
    session = kept.pop()
    for _ in range(3):
        _in_a_thread(session.execute, ONE)
    session.close()
    found.only_finding("SW104")


def test_async_session(found, app, call, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        kept = []

        @app.get("/items")
        async def read_items():
            async with AsyncSession(engine) as session:
                await session.execute(ONE)
                kept.append(session)

        await _request(app, "/items")
        await kept[0].execute(ONE)
        await kept[0].close()

    run_async(body)
    found.only_finding("SW104")


def test_another_owner_closed_it(watch, found, app, call, make_session):
    """A job that closes what it finds, in the midst of a request."""
    session = make_session()

    def tidy_up():
        with watch.owner("tidy up"):
            kept[0].close()

    kept = []

    @app.get("/items")
    def read_items():
        with make_session() as session:
            kept.append(session)
            session.execute(ONE)
            _in_a_thread(tidy_up)
            session.execute(ONE)

    call(app, "/items")
    session.close()
    assert "went on, and another had closed it" in found.only_finding("SW104")["message"]


class TestSilent:
    def test_deliberate_reuse_within_one_request(self, found, app, call, make_session):
        @app.get("/items")
        def read_items():
            session = make_session()
            for _ in range(2):
                session.execute(ONE)
                session.close()

        call(app, "/items")
        assert found.codes == []

    def test_reuse_in_a_job(self, watch, seen, make_session):
        session = make_session()
        for name in ("first", "second"):
            with watch.owner(name):
                session.execute(ONE)
                session.close()
        assert seen.codes == []

    def test_scoped_session_that_is_closed_by_each_request(self, found, app, call, make_session):
        """One thread's session serves one request after the other."""
        registry = scoped_session(make_session)

        @app.get("/items")
        async def read_items():
            registry.execute(ONE)
            registry.close()

        for _ in range(3):
            call(app, "/items")
        registry.remove()
        assert found.codes == []

    def test_child_task_that_closes_it_later(self, found, app, make_session):
        go_on = asyncio.Event()
        tasks = []

        @app.get("/items")
        async def read_items():
            async def work():
                with make_session() as session:
                    session.execute(ONE)
                    await go_on.wait()
                    session.execute(ONE)

            tasks.append(asyncio.create_task(work()))
            await asyncio.sleep(0)

        async def main():
            await _request(app, "/items")
            go_on.set()
            await tasks[0]

        asyncio.run(main())
        assert found.codes == []
