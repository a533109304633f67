"""Child tasks that work on in a session of their own while the response is sent."""

import asyncio

import pytest
from fastapi import FastAPI

pytest.importorskip("aiosqlite")

from sqlalchemy.ext.asyncio import AsyncSession


def test_child_task_that_saves_its_own_work(visit, async_engine, disposing, models, rows):
    """202: accepted, and not yet done; the response acknowledges nothing of it."""
    app = FastAPI(lifespan=disposing)
    children = []

    @app.post("/items", status_code=202)
    async def accept():
        writing, go_on = asyncio.Event(), asyncio.Event()

        async def child():
            async with AsyncSession(async_engine) as session, session.begin():
                session.add(models.Item(name="a"))
                await session.flush()
                writing.set()
                await go_on.wait()

        children.append((asyncio.create_task(child()), go_on))
        await writing.wait()
        return {}

    with visit(app) as client:
        assert client.post("/items").status_code == 202
        for task, go_on in children:
            go_on.set()
            client.run(task)
    assert rows() == 1
