"""WebSockets that live long, and hold a session only while they answer a message."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect
from sqlalchemy import func, select


@pytest.fixture
def app(make_session, models):
    app = FastAPI()

    @app.websocket("/count")
    async def count(websocket: WebSocket):
        await websocket.accept()
        while True:
            try:
                await websocket.receive_text()
            except WebSocketDisconnect:
                return
            with make_session() as db:
                number = db.scalar(select(func.count()).select_from(models.Item))
            await websocket.send_text(str(number))

    @app.websocket("/add")
    async def add(websocket: WebSocket):
        await websocket.accept()
        async for name in websocket.iter_text():
            with make_session.begin() as db:
                db.add(models.Item(name=name))
            await websocket.send_text("saved")

    return app


def test_a_session_for_each_message(visit, app, rows):
    with visit(app) as client:
        counting, adding = client.websocket("/count"), client.websocket("/add")
        assert counting.ask("?") == "0"
        assert [adding.ask(name) for name in "abc"] == ["saved"] * 3
        assert counting.ask("?") == "3"
        counting.hang_up()
        adding.hang_up()
    assert rows() == 3


def test_server_that_ends_the_conversation(visit, app):
    with visit(app) as client:
        counting = client.websocket("/count")
        assert counting.ask("?") == "0"
        counting.cancel()


def test_twenty_at_once(visit, app, rows):
    with visit(app) as client:
        talks = [client.websocket("/add") for _ in range(20)]
        for number, talk in enumerate(talks):
            assert talk.ask(f"item {number}") == "saved"
        for talk in talks:
            talk.hang_up()
    assert rows() == 20


def test_user_is_read_once_by_a_dependency(visit, make_session, models):
    """The session of the dependency gives its connection back before the talk begins."""
    app = FastAPI()

    def get_user():
        with make_session() as db:
            return db.scalar(select(func.count()).select_from(models.Item))

    @app.websocket("/talk")
    async def talk(websocket: WebSocket, user: Annotated[int, Depends(get_user)]):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{user}: {text}")

    with visit(app) as client:
        talking = client.websocket("/talk")
        assert talking.ask("hello") == "0: hello"
        talking.hang_up()


def test_one_session_that_gives_back_its_connection_after_each_message(
    visit, make_session, models, rows
):
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    @app.websocket("/add")
    async def add(websocket: WebSocket, db: Annotated[Any, Depends(get_db)]):
        await websocket.accept()
        async for name in websocket.iter_text():
            db.add(models.Item(name=name))
            db.commit()
            await websocket.send_text("saved")

    with visit(app) as client:
        adding = client.websocket("/add")
        assert [adding.ask(name) for name in "abc"] == ["saved"] * 3
        adding.hang_up()
    assert rows() == 3


def test_async_sessions(visit, async_engine, disposing, models):
    from sqlalchemy.ext.asyncio import AsyncSession

    app = FastAPI(lifespan=disposing)

    @app.websocket("/count")
    async def count(websocket: WebSocket):
        await websocket.accept()
        async for _ in websocket.iter_text():
            async with AsyncSession(async_engine) as db:
                number = await db.scalar(select(func.count()).select_from(models.Item))
            await websocket.send_text(str(number))

    with visit(app) as client:
        talks = [client.websocket("/count") for _ in range(5)]
        assert [talk.ask("?") for talk in talks] == ["0"] * 5
        for talk in talks:
            talk.hang_up()
