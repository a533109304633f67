"""A block or function that is to leave nothing open."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import Session

import sessionwatch
from sessionwatch import LeakError, Settings, no_leaks

ONE = select(1)


@pytest.fixture
def leak(make_session):
    """Leaves a session open until the test is over."""
    leaked = []

    def leak():
        session = make_session()
        session.execute(ONE)
        leaked.append(session)

    yield leak
    for session in leaked:
        session.close()


def test_block_that_leaks(leak):
    with (
        pytest.raises(LeakError, match="SW101 session leak: the block opened a session at") as told,
        no_leaks(),
    ):
        leak()
    assert "test_no_leaks.py" in str(told.value)
    assert isinstance(told.value, AssertionError)


def test_block_that_does_not(make_session):
    with no_leaks() as handle, make_session() as session:
        session.execute(ONE)
    assert (handle.counts.opened, handle.counts.closed, handle.findings) == (1, 1, [])


def test_function(leak, make_session):
    @no_leaks()
    def leaks(number):
        """Its own text."""
        leak()
        return number

    @no_leaks()
    def does_not(number):
        with make_session() as session:
            session.execute(ONE)
        return number

    assert does_not(7) == 7
    assert leaks.__doc__ == "Its own text."
    with pytest.raises(LeakError, match="leaks opened a session"):
        leaks(7)
    with pytest.raises(LeakError):
        leaks(8)


def test_async_block_and_function(run_async):
    async def body(engine):
        from sqlalchemy.ext.asyncio import AsyncSession

        @no_leaks()
        async def leaks():
            session = AsyncSession(engine)
            await session.execute(ONE)
            leaked.append(session)

        async with no_leaks(), AsyncSession(engine) as session:
            await session.execute(ONE)
        leaked = []
        with pytest.raises(LeakError, match="leaks opened a session"):
            await leaks()
        await leaked.pop().close()
        async with no_leaks():
            await asyncio.gather(*(_read(engine) for _ in range(3)))

    run_async(body)


async def _read(engine):
    from sqlalchemy.ext.asyncio import AsyncSession

    async with AsyncSession(engine) as session:
        await session.execute(ONE)


def test_exception_of_the_block_goes_out_as_it_is(leak):
    def leak_and_raise():
        leak()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), no_leaks():
        leak_and_raise()


def test_allow_and_settings(leak):
    with no_leaks(allow=("SW101",)):
        leak()
    with no_leaks(settings=Settings(ignore=("SW101",), log_findings=False)):
        leak()
    with no_leaks(allow=["SW1"]):
        leak()
    with pytest.raises(ValueError, match="there is no finding 'SW999'"):
        no_leaks(allow=("SW999",))
    with pytest.raises(LeakError), no_leaks(allow=["SW2"]):
        leak()


def test_what_is_to_be_written_is_told():
    with pytest.raises(ValueError, match=r"^allow is 'SW101'; write a list: allow=\['SW101'\]$"):
        no_leaks(allow="SW101")
    with pytest.raises(TypeError, match=r"names no function; write no_leaks\(allow=\['SW101'\]\)$"):
        no_leaks("SW101")


@pytest.mark.parametrize("decorate", [no_leaks, no_leaks()])
def test_generator_function_is_refused(decorate, leak):
    def get_db():
        yield leak()

    async def get_db_async():
        yield leak()

    for function in (get_db, get_db_async):
        with pytest.raises(TypeError, match=rf"{function.__qualname__}.*around what iterates it$"):
            decorate(function)


def test_function_without_brackets(leak):
    @no_leaks
    def leaks(number):
        """Its own text."""
        leak()

    @no_leaks
    async def does_not():
        return 7

    assert leaks.__doc__ == "Its own text."
    with pytest.raises(LeakError, match="leaks opened a session"):
        leaks(7)
    assert asyncio.run(does_not()) == 7


def test_what_goes_on_beside_it_is_not_meant(make_session):
    session = make_session()
    session.execute(ONE)
    with no_leaks():
        session.execute(ONE)
    session.close()


def test_blocks_nest(leak):
    with no_leaks(), pytest.raises(LeakError), no_leaks():
        leak()
    block = no_leaks()
    with block, pytest.raises(RuntimeError, match="make another for the inner block"), block:
        pass


def test_everything_is_put_back(leak):
    construct = Session.__init__
    with no_leaks():
        assert Session.__init__ is not construct
    assert Session.__init__ is construct


def test_request_to_a_watched_application(make_session, call):
    app = FastAPI()
    watch = sessionwatch.install(app, Settings(log_findings=False))

    def get_db():
        db = make_session()
        yield db
        db.close()

    @app.get("/")
    def read(db: Session = Depends(get_db)):
        db.execute(ONE)
        raise HTTPException(404)

    @no_leaks()
    async def ask():
        import httpx

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/")

    try:
        with pytest.raises(LeakError, match="GET / opened a session"):
            asyncio.run(ask())
    finally:
        watch.stop()
