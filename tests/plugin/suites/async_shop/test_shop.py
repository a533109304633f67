import asyncio

import pytest
from shop import Note
from sqlalchemy import func, select

pytestmark = pytest.mark.anyio


async def test_create(client, session):
    assert (await client.post("/notes/milk")).status_code == 201
    assert await session.scalar(select(Note.text)) == "milk"


async def test_starts_empty(client):
    assert (await client.get("/notes")).json() == []


async def test_missing(client):
    assert (await client.get("/notes/9")).status_code == 404


@pytest.mark.parametrize("number", [1, 3])
async def test_many_at_once(client, number):
    await asyncio.gather(*(client.post(f"/notes/{each}") for each in range(number)))
    assert len((await client.get("/notes")).json()) == number


async def test_read(client, session):
    session.add(Note(text="bread"))
    await session.commit()
    assert (await client.get("/notes/1")).json() == "bread"


async def test_thrown_away(session):
    session.add(Note(text="eggs"))
    await session.flush()
    await session.rollback()
    assert await session.scalar(select(func.count(Note.id))) == 0


async def test_left_uncommitted(session):
    session.add(Note(text="salt"))
    await session.flush()


async def test_tasks_with_sessions_of_their_own(make_session):
    async def add(text):
        async with make_session.begin() as session:
            session.add(Note(text=text))

    for text in ("tea", "jam"):
        await asyncio.create_task(add(text))
    async with make_session() as session:
        assert await session.scalar(select(func.count(Note.id))) == 2
