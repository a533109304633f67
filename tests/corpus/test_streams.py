"""Streams that open a session for each tick, or that read their rows before they begin."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

TICKS = 5


@pytest.fixture
def count(models):
    return select(func.count()).select_from(models.Item)


def test_sync_generator(visit, make_session, count):
    app = FastAPI()

    def ticks():
        for _ in range(TICKS):
            with make_session() as db:
                number = db.scalar(count)
            yield f"{number}\n"

    @app.get("/ticks")
    def stream():
        return StreamingResponse(ticks())

    with visit(app) as client:
        assert client.get("/ticks").text == "0\n" * TICKS
        assert client.at_once(*[("GET", "/ticks", None)] * 20) == [200] * 20
        assert client.hang_up_on("/ticks") == [b"0\n"]
        assert client.hang_up_on("/ticks", asgi="2.4") == [b"0\n"]


@pytest.fixture
def events(visit, async_engine, disposing, count):
    """Server-sent events, with an AsyncSession for each."""
    from sqlalchemy.ext.asyncio import AsyncSession

    app = FastAPI(lifespan=disposing)

    async def ticks(for_ever):
        while True:
            async with AsyncSession(async_engine) as db:
                number = await db.scalar(count)
            yield f"event: count\ndata: {number}\n\n"
            if not for_ever:
                return
            await asyncio.sleep(0)

    @app.get("/events")
    async def stream(for_ever: bool = False):
        return StreamingResponse(ticks(for_ever), media_type="text/event-stream")

    @app.get("/events/for-ever")
    async def stream_for_ever():
        return StreamingResponse(ticks(True), media_type="text/event-stream")

    with visit(app) as client:
        yield client


def test_server_sent_events(events):
    assert events.get("/events").text == "event: count\ndata: 0\n\n"
    assert events.at_once(*[("GET", "/events", None)] * 20) == [200] * 20


@pytest.mark.parametrize("asgi", ["2.3", "2.4"])
def test_client_that_disconnects(events, asgi):
    chunks = events.hang_up_on("/events/for-ever", chunks=3, asgi=asgi)
    assert chunks == [b"event: count\ndata: 0\n\n"] * 3


def test_rows_that_are_read_before_the_response_begins(visit, make_session, models):
    app = FastAPI()

    @app.get("/export")
    def export():
        with make_session() as db:
            names = db.scalars(select(models.Item.name)).all()
        return StreamingResponse(f"{name}\n" for name in names)

    with make_session.begin() as db:
        db.add_all(models.Item(name=name) for name in "abc")
    with visit(app) as client:
        assert client.get("/export").text == "a\nb\nc\n"


def test_stream_that_reads_its_rows_as_it_goes(visit, engine, models):
    """The stream owns its session, queries all the way, and closes it at its end."""
    app = FastAPI()

    def lines():
        with Session(engine) as db:
            for name in db.scalars(select(models.Item.name).execution_options(yield_per=10)):
                yield f"{name}\n"

    @app.get("/export")
    def export():
        return StreamingResponse(lines())

    with Session(engine) as db, db.begin():
        db.add_all(models.Item(name=str(number)) for number in range(50))
    with visit(app) as client:
        assert client.get("/export").text.count("\n") == 50
        assert client.at_once(*[("GET", "/export", None)] * 10) == [200] * 10


def test_request_session_is_done_before_the_stream_begins(visit, make_session, models, count):
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    def lines(number):
        for _ in range(number):
            yield "line\n"

    @app.get("/lines")
    def stream(db: Annotated[Any, Depends(get_db)]):
        number = db.scalar(count)
        db.close()
        return StreamingResponse(lines(number))

    with visit(app) as client:
        assert client.at_once(*[("GET", "/lines", None)] * 20) == [200] * 20


def test_stream_that_notes_its_progress(visit, make_session, models, rows):
    """Each tick is a unit of work of its own, begun and saved while the response is under way."""
    app = FastAPI()

    def ticks():
        for number in range(TICKS):
            with make_session.begin() as db:
                db.add(models.Item(name=str(number)))
            yield "."

    @app.post("/import")
    def stream():
        return StreamingResponse(ticks())

    with visit(app) as client:
        assert client.post("/import").text == "." * TICKS
    assert rows() == TICKS
