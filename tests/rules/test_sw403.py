"""SW403 cancel-leak."""

import asyncio
from contextlib import suppress

from sqlalchemy import event, select, text

ONE = select(1)


def _cancelled(watch, work):
    """Cancel a job when it says so."""

    async def main(engine):
        from sqlalchemy.ext.asyncio import AsyncSession

        async def job():
            with watch.owner("job"):
                await work(AsyncSession(engine), ready)

        ready = asyncio.Event()
        task = asyncio.create_task(job())
        await asyncio.wait_for(ready.wait(), 10)
        await asyncio.sleep(0.02)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return main


def test_session_that_is_not_closed_on_the_way(watch, seen, run_async):
    kept = []

    async def work(session, ready):
        kept.append(session)
        await session.execute(ONE)
        ready.set()
        await asyncio.Event().wait()
        await session.close()

    async def body(engine):
        await _cancelled(watch, work)(engine)
        finding = seen.only_finding("SW403")
        assert (finding["severity"], finding["evidence"]) == ("warning", "proof")
        assert (
            "job was cancelled, and the connection of the session opened at" in (finding["message"])
        )
        assert finding["message"].endswith("was never returned")
        await kept.pop().close()
        assert seen.findings[0]["details"]["returned_later"] == 1

    run_async(body)
    seen.only_finding("SW403")


def test_twin_with_async_with(watch, seen, run_async):
    async def work(session, ready):
        async with session:
            await session.execute(ONE)
            ready.set()
            await asyncio.Event().wait()

    run_async(_cancelled(watch, work))
    assert seen.codes == []


def test_cancelled_in_the_midst_of_a_statement(watch, seen, run_async):
    async def work(session, ready):
        async with session:
            raw = await (await session.connection()).get_raw_connection()
            await raw.driver_connection.create_function("pause", 0, _pause)
            ready.set()
            await session.execute(text("SELECT pause()"))

    async def body(engine):
        await _cancelled(watch, work)(engine)

    run_async(body)
    assert seen.only_finding("SW403")["message"].endswith("had to be thrown away")


def _pause():
    import time

    time.sleep(0.2)


def test_sync_job(watch, seen, make_session):
    session = make_session()
    with suppress(asyncio.CancelledError), watch.owner("job"):
        session = make_session()
        session.execute(ONE)
        raise asyncio.CancelledError
    session.close()
    seen.only_finding("SW403")


def test_connection_without_a_session(watch, seen, engine):
    with suppress(asyncio.CancelledError), watch.owner("job"):
        connection = engine.connect()
        raise asyncio.CancelledError
    connection.close()
    seen.only_finding("SW403")


def test_connection_invalidated_by_an_owner_that_was_not_cancelled(watch, seen, make_session):
    with watch.owner("job"), make_session() as session:
        session.execute(ONE)
        session.connection().invalidate()
    assert seen.codes == []
    assert not event.contains(type(session), "after_begin", _pause)
