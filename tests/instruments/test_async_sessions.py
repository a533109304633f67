"""AsyncSession, which works through a sync session inside a greenlet."""

from __future__ import annotations

import asyncio
from operator import methodcaller

import pytest

pytest.importorskip("greenlet")

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    close_all_sessions,
)

ENDS = ("opened", "closed", "committed", "rolled_back", "discarded", "checkouts", "checkins")


@pytest.mark.parametrize("end", ["close", "reset", "invalidate"])
def test_every_way_to_close(watch, seen, run_async, end):
    async def body(engine):
        with watch.owner("job"):
            session = AsyncSession(engine)
            await session.execute(select(1))
            assert seen.pool["checked_out"] == 1
            await methodcaller(end)(session)

    run_async(body)
    assert seen.counts("opened", "closed", "checkouts", "checkins") == {
        "opened": 1,
        "closed": 1,
        "checkouts": 1,
        "checkins": 1,
    }
    assert seen.codes == []


def test_commit_rollback_and_close(seen, run_async, models, rows):
    async def body(engine):
        async with AsyncSession(engine) as session:
            session.add(models.Item(name="committed"))
            await session.commit()
            session.add(models.Item(name="rolled back"))
            await session.flush()
            await session.rollback()
            session.add(models.Item(name="discarded"))
            await session.flush()

    run_async(body)
    assert seen.counts(*ENDS, "flushes", "writes") == {
        "opened": 1,
        "closed": 1,
        "committed": 1,
        "rolled_back": 1,
        "discarded": 1,
        "checkouts": 3,
        "checkins": 3,
        "flushes": 3,
        "writes": 3,
    }
    assert rows() == 1


def test_counts_are_those_of_the_engine(seen, run_async, make_tally, models):
    """An async engine is counted once, not once for each of its two faces."""
    tallies = []

    async def body(engine):
        tallies.append(make_tally(engine.sync_engine))
        make_session = async_sessionmaker(engine)
        for number in range(5):
            async with make_session.begin() as session:
                session.add(models.Item(name=str(number)))
                await session.scalars(select(models.Item))

    run_async(body)
    (tally,) = tallies
    assert seen.counts("statements", "writes", "committed", "checkouts", "checkins") == {
        "statements": tally["statements"],
        "writes": tally["writes"],
        "committed": tally["commit"],
        "checkouts": tally["checkouts"],
        "checkins": tally["checkins"],
    }
    assert tally["commit"] == 5


def test_scoped_session_remove(watch, seen, run_async):
    async def body(engine):
        registry = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        with watch.owner("job"):
            await registry.execute(select(1))
            await registry.remove()

    run_async(body)
    assert seen.counts("opened", "closed", "checkins") == {"opened": 1, "closed": 1, "checkins": 1}
    assert seen.codes == []


def test_scoped_session_that_is_not_removed_but_idle_is_silent(watch, seen, run_async):
    async def body(engine):
        registry = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        with watch.owner("job"):
            await registry.execute(select(1))
            await registry.commit()
        await registry.remove()

    run_async(body)
    assert seen.codes == []


def test_close_all_sessions(seen, run_async):
    async def body(engine):
        sessions = [AsyncSession(engine) for _ in range(3)]
        for session in sessions:
            await session.execute(select(1))
        await close_all_sessions()

    run_async(body)
    assert seen.counts("opened", "closed", "checkins") == {"opened": 3, "closed": 3, "checkins": 3}


def test_failed_flush(seen, run_async, models, rows):
    async def body(engine):
        async with AsyncSession(engine) as session:
            session.add(models.Item(name="a"))
            await session.flush()
            session.add(models.Item(name="a"))
            with pytest.raises(IntegrityError):
                await session.flush()
            await session.rollback()

    run_async(body)
    assert seen.counts("committed", "rolled_back", "discarded") == {
        "committed": 0,
        "rolled_back": 1,
        "discarded": 0,
    }
    assert rows() == 0


def test_failed_commit(seen, run_async, models, rows):
    async def body(engine):
        async with AsyncSession(engine) as session:
            session.add(models.Part(item_id=models.no_such_item))
            with pytest.raises(IntegrityError):
                await session.commit()

    run_async(body)
    assert seen.counts("committed", "rolled_back", "discarded", "checkins") == {
        "committed": 0,
        "rolled_back": 0,
        "discarded": 1,
        "checkins": 1,
    }
    assert rows("part") == 0


def test_leak(watch, seen, run_async):
    async def body(engine):
        with watch.owner("job"):
            session = AsyncSession(engine)
            await session.execute(select(1))
        assert seen.codes == ["SW101"]
        await session.close()

    run_async(body)
    assert seen.only_finding("SW101")["details"]["returned_later"] == 1


def test_session_on_an_async_connection(watch, seen, run_async, models, rows):
    async def body(engine):
        async with engine.connect() as connection, connection.begin() as outer:
            with watch.owner("test"):
                options = {"join_transaction_mode": "create_savepoint"}
                async with AsyncSession(bind=connection, **options) as session:
                    await session.execute(text("INSERT INTO item (name) VALUES ('a')"))
                    await session.commit()
            await outer.rollback()

    run_async(body)
    assert seen.counts("opened", "closed", "committed") == {
        "opened": 1,
        "closed": 1,
        "committed": 0,
    }
    assert seen.codes == []


def test_core_connection(watch, seen, run_async):
    async def body(engine):
        with watch.owner("job"):
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO item (name) VALUES ('a')"))

    run_async(body)
    assert seen.counts("statements", "writes", "checkouts", "checkins") == {
        "statements": 1,
        "writes": 1,
        "checkouts": 1,
        "checkins": 1,
    }
    assert seen.codes == []


def test_sessions_of_concurrent_tasks_belong_to_their_own_owners(watch, seen, run_async, models):
    async def job(engine, name, count):
        with watch.owner(name):
            for number in range(count):
                async with AsyncSession(engine) as session:
                    await session.execute(select(number))
                    await asyncio.sleep(0)

    async def body(engine):
        await asyncio.gather(*(job(engine, f"job {count}", count) for count in range(1, 5)))

    run_async(body)
    opened = {name: route.counts.opened for name, route in seen.snapshot.routes.items()}
    assert opened == {"job 1": 1, "job 2": 2, "job 3": 3, "job 4": 4}


def test_cancelled_task_that_cleans_up_is_silent(watch, seen, run_async):
    async def body(engine):
        started = asyncio.Event()

        async def job():
            with watch.owner("job"):
                async with AsyncSession(engine) as session:
                    await session.execute(select(1))
                    started.set()
                    await asyncio.Event().wait()

        task = asyncio.create_task(job())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_async(body)
    assert seen.counts("opened", "closed", "checkins") == {"opened": 1, "closed": 1, "checkins": 1}
    assert seen.codes == []
