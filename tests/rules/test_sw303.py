"""SW303 stream-pin."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from sessionwatch import SessionWatchMiddleware, Settings

ONE = select(1)


@pytest.fixture
def watch(make_watch):
    """A watch on the test's clock that reports after ten seconds."""
    return make_watch(Settings(stream_hold_seconds=10, idle_hold_seconds=10))


@pytest.fixture
def stream(watch, clock, call, make_session):
    """Stream three parts, twenty seconds each, with the request's session open all the while."""

    def stream(*, close=False, query=False):
        app = FastAPI()
        app.add_middleware(SessionWatchMiddleware, watch=watch)
        session = make_session()

        @app.get("/events")
        async def events():
            session.execute(ONE)
            if close:
                session.close()

            async def parts():
                for number in range(3):
                    yield str(number)
                    clock.advance(20 if not query else 8)
                    if query:
                        session.execute(ONE)
                    watch.inspect_connections()
                session.close()

            return StreamingResponse(parts())

        assert call(app, "/events").text == "012"

    return stream


def test_session_open_for_the_whole_stream(stream, seen):
    session_place = "in stream"
    stream()
    finding = seen.only_finding("SW303")
    assert (finding["severity"], finding["evidence"]) == ("warning", "suspect")
    assert (
        "GET /events streams its response, and has held the connection of the session opened at"
        in finding["message"]
    )
    assert "for 20.0 s of that without a statement" in finding["message"]
    assert session_place in finding["message"]
    assert finding["related"] == ["SW102"]
    assert finding["details"]["resolution"] == "held 60.0 s, returned"


def test_twin_that_closes_before(stream, seen):
    stream(close=True)
    assert seen.codes == []


def test_stream_that_queries(stream, seen):
    stream(query=True)
    assert seen.codes == []


def test_slow_before_the_response_is_no_stream(watch, seen, clock, call, make_session):
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)

    def get_db():
        with make_session() as session:
            yield session

    @app.get("/items")
    async def read_items(db: Annotated[Any, Depends(get_db)]):
        db.execute(ONE)
        clock.advance(20)
        watch.inspect_connections()

    call(app, "/items")
    seen.only_finding("SW102")


def test_off_leaves_it_to_the_idle_hold(make_watch, read, clock, call, make_session):
    watch = make_watch(Settings(stream_hold_seconds=None, idle_hold_seconds=10))
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)

    @app.get("/events")
    async def events():
        session = make_session()
        session.execute(ONE)

        async def parts():
            yield "0"
            clock.advance(20)
            watch.inspect_connections()
            session.close()

        return StreamingResponse(parts())

    call(app, "/events")
    read(watch).only_finding("SW102")
