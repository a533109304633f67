"""SW402 shared-session."""

import asyncio

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

ONE = select(1)


@pytest.fixture
def gather(app):
    """Send several requests at once."""

    def gather(path, number=2):
        async def main():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await asyncio.gather(*(client.get(path) for _ in range(number)))

        return asyncio.run(main())

    return gather


def _severities(found):
    return [(each["code"], each["severity"], each["evidence"]) for each in found.findings]


def test_two_requests_at_once(found, app, gather, make_session):
    shared = make_session()

    @app.get("/items")
    async def read_items():
        shared.execute(ONE)
        await asyncio.sleep(0.01)

    gather("/items")
    shared.close()
    finding = found.only_finding("SW402")
    assert (finding["severity"], finding["evidence"]) == ("error", "proof")
    assert "GET /items uses at" in finding["message"]
    assert "so does another request, GET /items, which is still under way" in finding["message"]
    assert finding["opened_at"]["function"] == "test_two_requests_at_once"


def test_session_of_one_request_in_another(found, app, call, make_session):
    kept = []

    @app.get("/open")
    async def open_session():
        kept.append(make_session())
        kept[0].execute(ONE)
        kept[0].commit()

    @app.get("/use")
    async def use_session():
        kept[0].execute(ONE)
        kept[0].close()

    call(app, "/open")
    call(app, "/use")
    assert ("SW402", "error", "proof") in _severities(found)


def test_twin_with_a_session_for_each(found, app, gather, make_session):
    @app.get("/items")
    async def read_items():
        with make_session() as session:
            session.execute(ONE)
            await asyncio.sleep(0.01)

    gather("/items")
    assert found.codes == []


def test_one_after_the_other_may_be_a_test(found, app, call, make_session):
    """As where a test overrides the dependency with a session of its own."""
    shared = make_session()

    @app.get("/items")
    async def read_items():
        shared.execute(ONE)

    call(app, "/items")
    assert found.codes == []
    for _ in range(2):
        call(app, "/items")
    shared.close()
    assert _severities(found) == [("SW402", "info", "suspect")]


class TestSilent:
    def test_session_on_a_connection_with_an_outer_transaction(self, found, app, call, engine):
        with engine.connect() as connection, connection.begin():
            shared = Session(connection, join_transaction_mode="rollback_only")

            @app.get("/items")
            async def read_items():
                shared.execute(ONE)

            for _ in range(3):
                call(app, "/items")
            shared.close()
        assert found.codes == []

    def test_scoped_session_that_is_removed(self, found, app, gather, make_session):
        registry = scoped_session(make_session, scopefunc=asyncio.current_task)

        @app.get("/items")
        async def read_items():
            registry.execute(ONE)
            await asyncio.sleep(0.01)
            registry.remove()

        gather("/items", 5)
        assert found.codes == []
