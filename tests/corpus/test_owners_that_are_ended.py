"""Owners that end by an exception which says only that it is over: all they began is saved."""

import asyncio
import sys
from contextlib import suppress

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse


@pytest.fixture
def add(make_session, models):
    def add(name):
        with make_session.begin() as session:
            session.add(models.Item(name=name))

    return add


def test_script_that_exits_with_success(watch, add, rows):
    with suppress(SystemExit), watch.owner("script"):
        add("a")
        sys.exit(0)
    assert rows() == 1


def test_websocket_of_the_tutorial(visit, add, rows):
    """Nobody catches the disconnect: that is how the handler ends."""
    app = FastAPI()

    @app.websocket("/add")
    async def talk(websocket: WebSocket):
        await websocket.accept()
        while True:
            add(await websocket.receive_text())
            await websocket.send_text("saved")

    with visit(app) as client:
        talking = client.websocket("/add")
        assert [talking.ask(name) for name in "ab"] == ["saved", "saved"]
        with suppress(WebSocketDisconnect):
            talking.hang_up()
    assert rows() == 2


@pytest.mark.parametrize("asgi", ["2.3", "2.4"])
def test_stream_whose_client_is_gone(visit, add, asgi):
    """Each tick is saved before it is sent; the client leaves between two of them."""
    app = FastAPI()

    async def ticks():
        for number in range(100):
            add(str(number))
            yield "."
            await asyncio.sleep(0)

    @app.get("/ticks")
    def stream():
        return StreamingResponse(ticks())

    with visit(app) as client:
        assert client.hang_up_on("/ticks", chunks=3, asgi=asgi) == [b"."] * 3


def test_websocket_that_the_server_ends(visit, add, rows):
    """A server that shuts down cancels what waits for the next message."""
    app = FastAPI()

    @app.websocket("/add")
    async def talk(websocket: WebSocket):
        await websocket.accept()
        async for name in websocket.iter_text():
            add(name)
            await websocket.send_text("saved")

    with visit(app) as client:
        talking = client.websocket("/add")
        assert talking.ask("a") == "saved"
        talking.cancel()
    assert rows() == 1
