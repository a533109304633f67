"""SW101 session-leak."""

import asyncio
import re
from contextlib import suppress
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import scoped_session

ONE = select(1)


def test_session_that_is_not_closed(watch, seen, make_session):
    with watch.owner("job"):
        session = make_session()
        session.execute(ONE)
    session.close()
    finding = seen.only_finding("SW101")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "session-leak",
        "error",
        "proof",
    )
    assert finding["opened_at"]["function"] == "test_session_that_is_not_closed"
    assert "session.close()" in finding["fix"]


def test_twin_closes_it(watch, seen, make_session):
    with watch.owner("job"), make_session() as session:
        session.execute(ONE)
    assert seen.codes == []


def test_owner_that_fails_leaks_all_the_same(watch, seen, make_session):
    with suppress(ValueError), watch.owner("job"):
        session = make_session()
        session.execute(ONE)
        raise ValueError("no")
    session.close()
    assert seen.codes == ["SW101"]


def test_twin_fails_and_closes(watch, seen, make_session):
    with suppress(ValueError), watch.owner("job"), make_session() as session:
        session.execute(ONE)
        raise ValueError("no")
    assert seen.codes == []


@pytest.mark.parametrize(
    ("dependency", "codes"),
    [("no_finally", ["SW101"]), ("close_only", []), ("full", []), ("begin", [])],
)
def test_dependency_when_the_handler_raises(found, app, call, dependencies, dependency, codes):
    leaked = []

    @app.get("/items/{number}")
    def read_item(number, db: Annotated[Any, Depends(getattr(dependencies, dependency))]):
        leaked.append(db)
        db.execute(ONE)
        raise HTTPException(400)

    assert call(app, "/items/7").status_code == 400
    assert found.codes == codes
    for session in leaked:
        session.close()


def test_message_names_route_place_and_pool(found, app, call, dependencies, log):
    leaked = []

    @app.get("/items/{number}")
    def read_item(number, db: Annotated[Any, Depends(dependencies.no_finally)]):
        leaked.append(db)
        db.execute(ONE)
        raise HTTPException(400)

    for _ in range(2):
        call(app, "/items/7")
    finding = found.findings[0]
    assert re.fullmatch(
        r"SW101 session leak: GET /items/{number} opened a session at "
        r"tests/rules/conftest\.py:\d+ in no_finally and never closed it; "
        r"1 connection of the pool is still out \(2 of 5 in use\)",
        finding["message"],
    )
    assert finding["count"] == 2
    assert finding["owner"]["route"] == "GET /items/{number}"
    assert (finding["owner"]["kind"], finding["owner"]["status"]) == ("request", 400)
    assert "1 of 5 in use" in log.records[0].getMessage().splitlines()[0]
    for session in leaked:
        session.close()


def test_session_that_is_returned_and_never_yielded(found, app, call, dependencies):
    leaked = []

    @app.get("/items")
    def read_items(db: Annotated[Any, Depends(dependencies.returned)]):
        leaked.append(db)
        db.execute(ONE)
        return {}

    assert call(app, "/items").status_code == 200
    assert found.only_finding("SW101")["opened_at"]["function"] == "returned"
    leaked[0].close()


def test_async_session(found, app, call, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        import httpx

        leaked = []

        async def get_db():
            db = AsyncSession(engine)
            yield db
            await db.close()

        @app.get("/items")
        async def read_items(db: Annotated[Any, Depends(get_db)]):
            leaked.append(db)
            await db.execute(ONE)
            raise HTTPException(400)

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/items")
        assert found.only_finding("SW101")["opened_at"]["function"] == "get_db"
        await leaked[0].close()

    run_async(body)


def test_uncommitted_writes_are_named_with_the_leak(watch, seen, make_session, models):
    """One cause, one finding: it names SW203 and does not come with it."""
    with watch.owner("job"):
        session = make_session()
        session.add(models.Item(name="a"))
        session.flush()
    session.close()
    finding = seen.only_finding("SW101")
    assert finding["related"] == ["SW203"]
    assert finding["details"]["uncommitted_writes"] == 1
    assert finding["message"].endswith(", with 1 write that nobody committed")


def test_core_connection(watch, seen, engine):
    with watch.owner("job"):
        connection = engine.connect()
    connection.close()
    assert "checked out a connection" in seen.only_finding("SW101")["message"]


def test_twin_of_a_core_connection(watch, seen, engine):
    with watch.owner("job"), engine.connect() as connection:
        connection.execute(ONE)
    assert seen.codes == []


def test_scoped_session_with_a_connection_leaks_too(watch, seen, make_session):
    registry = scoped_session(make_session)
    with watch.owner("job"):
        registry.execute(ONE)
    assert seen.codes == ["SW101"]
    registry.remove()


def test_every_leaked_session_is_counted(watch, seen, make_session):
    with watch.owner("job"):
        sessions = [make_session() for _ in range(3)]
        for session in sessions:
            session.execute(ONE)
    for session in sessions:
        session.close()
    assert seen.codes == ["SW101"] * 3


class TestSilent:
    def test_session_that_holds_no_connection(self, watch, seen, make_session):
        with watch.owner("job"):
            session = make_session()
            session.execute(ONE)
            session.commit()
        session.close()
        assert seen.codes == ["SW107"]

    def test_child_task_that_closes_it_later(self, found, app, call, make_session):
        tasks = []

        @app.get("/start")
        async def start():
            async def child():
                with make_session() as session:
                    session.execute(ONE)
                    await asyncio.sleep(0)

            tasks.append(asyncio.create_task(child()))
            await asyncio.sleep(0)
            return {}

        assert call(app, "/start").status_code == 200
        assert found.counts("opened", "closed") == {"opened": 1, "closed": 1}
        assert found.codes == []

    def test_background_task_that_closes_it(self, found, app, call, make_session, dependencies):
        """The owner ends after its background tasks and the exits of its dependencies."""
        session = make_session()

        def work():
            session.execute(ONE)
            session.close()

        @app.get("/items")
        def read_items(background: BackgroundTasks, db: Annotated[Any, Depends(dependencies.full)]):
            db.execute(ONE)
            background.add_task(work)
            return {}

        assert call(app, "/items").status_code == 200
        assert [
            finding["code"] for finding in found.findings if finding["severity"] != "info"
        ] == []

    def test_session_of_the_process(self, seen, make_session):
        """It ends never, and may be meant to live long."""
        session = make_session()
        session.execute(ONE)
        assert seen.codes == []
        session.close()
