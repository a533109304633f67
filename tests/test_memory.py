"""Watching keeps nothing alive, and what is kept of the past does not grow."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from contextlib import suppress

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker

from sessionwatch import SessionWatch, Settings
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.transaction import TransactionRecord

ONE = select(1)
RECORDS = (Owner, SessionRecord, TransactionRecord, ConnectionHold)


def _alive():
    """How many records of ours there are in this process."""
    gc.collect()
    return sum(isinstance(each, RECORDS) for each in gc.get_objects())


class _Error(Exception):
    pass


def _use(session):
    session.execute(ONE)


WAYS = ["closed", "left open", "collected while in use", "committed and left open"]


@pytest.mark.parametrize("inside", ["process", "job"])
@pytest.mark.parametrize("way", WAYS)
def test_session_is_not_kept_alive(watch, seen, make_session, models, way, inside):
    def work():
        session = make_session()
        session.add(models.Item(name="a"))
        session.flush()
        if way == "closed":
            session.close()
        elif way == "committed and left open":
            session.commit()
        return weakref.ref(session)

    if inside == "job":
        with watch.owner("job"):
            reference = work()
    else:
        reference = work()
    gc.collect()
    assert reference() is None
    assert seen.counts("open") == {"open": 0}
    assert seen.snapshot.open_sessions == []


def test_engine_and_pool_are_not_kept_alive(watch, seen, database_path):
    engine = create_engine(f"sqlite:///{database_path}")
    with watch.owner("job"):
        with Session(engine) as session:
            session.execute(ONE)
        leaked = Session(engine)
        leaked.execute(ONE)
    references = [weakref.ref(each) for each in (engine, engine.pool, engine.dialect)]
    assert seen.codes == ["SW101"]
    leaked.close()
    engine.dispose()
    del engine, session, leaked
    gc.collect()
    assert [reference() for reference in references] == [None, None, None]


def test_owner_without_a_finding_is_not_kept_alive(watch, make_session):
    with watch.owner("job") as owner, make_session() as session:
        session.execute(ONE)
    reference = weakref.ref(owner)
    del owner, session
    gc.collect()
    assert reference() is None


def test_exception_and_its_frames_are_not_kept_alive(watch, make_session):
    error = _Error()
    with suppress(_Error), watch.owner("job"):
        session = make_session()
        session.execute(ONE)
        raise error
    session.close()
    reference = weakref.ref(error)
    del error, session
    gc.collect()
    assert reference() is None


def test_request_leaves_nothing_alive(watch, watched, make_session, call):
    """Neither the handler, the scope, the task, the request's owner nor its session."""
    references = {}

    def application():
        async def handler(scope, receive, send):
            session = make_session()
            session.execute(ONE)
            references["session"] = weakref.ref(session)
            references["task"] = weakref.ref(asyncio.current_task())
            references["owner"] = weakref.ref(scope["sessionwatch.owner"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            session.close()

        references["handler"] = weakref.ref(handler)
        return watched(handler)

    assert call(application()).status_code == 200
    gc.collect()
    assert {name: reference() for name, reference in references.items()} == dict.fromkeys(
        references
    )


def test_leaked_session_of_a_request_is_not_kept_alive(watch, seen, watched, make_session, call):
    references = []

    async def handler(scope, receive, send):
        session = make_session()
        session.execute(ONE)
        references.append(weakref.ref(session))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    call(watched(handler))
    gc.collect()
    assert references[0]() is None
    assert seen.pool["checked_out"] == 0


def test_watch_is_not_kept_alive(make_session):
    watch = SessionWatch().start()
    with watch.owner("job"), make_session() as session:
        session.execute(ONE)
    watch.stop()
    reference = weakref.ref(watch)
    del watch, session
    gc.collect()
    assert reference() is None


def test_async_session_and_its_engine_are_not_kept_alive(watch, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    references = []

    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                await session.execute(ONE)
        references.extend([weakref.ref(session.sync_session), weakref.ref(engine.sync_engine)])

    run_async(body)
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def _closed(make_session, models):
    with make_session() as session:
        session.execute(ONE)


def _committed(make_session, models):
    with make_session() as session:
        item = models.Item(name="a")
        session.add(item)
        session.commit()
        session.delete(item)
        session.commit()


def _discarded(make_session, models):
    with make_session() as session:
        session.add(models.Item(name="a"))
        session.flush()


def _unused(make_session, models):
    make_session()


def _collected(make_session, models):
    make_session().execute(ONE)
    gc.collect(0)


def _core(make_session, models):
    with make_session.kw["bind"].connect() as connection:
        connection.execute(ONE)


WORK = {
    "closed": _closed,
    "committed": _committed,
    "discarded": _discarded,
    "unused": _unused,
    "collected": _collected,
    "core": _core,
}


@pytest.fixture
def grown(make_engine, models):
    """Tell by how many records 200 rounds of some work grow, after 300 to warm up."""
    make_session = sessionmaker(make_engine())

    def grown(work, around):
        def rounds(number):
            for _ in range(number):
                around(lambda: work(make_session, models))
            return _alive()

        return -rounds(300) + rounds(200)

    return grown


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_memory_is_flat_in_the_process_owner(watch, grown, work):
    """Many sessions one after the other, and nobody who asks for a snapshot."""
    assert grown(work, lambda once: once()) <= 70


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_memory_is_flat_over_owners(watch, grown, work):
    def around(once):
        with watch.owner("job"):
            once()

    assert grown(work, around) <= 70


@pytest.mark.parametrize("work", ["closed", "committed", "core"])
def test_memory_is_flat_in_one_long_owner(watch, grown, work):
    """A WebSocket that lives for days, with a session for each message."""
    with watch.owner("long"):
        assert grown(WORK[work], lambda once: once()) <= 70


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_memory_is_flat_in_one_long_owner_that_loses_work(make_watch, grown, work):
    """Such sessions are kept for the rules, as many as there is room for."""
    watch = make_watch(Settings(max_owner_sessions=100))
    with watch.owner("long"):
        assert grown(work, lambda once: once()) <= 70


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_memory_is_flat_when_an_owner_is_over_and_works_on(watch, grown, work):
    """A thread or task that inherited the owner, while no other owner comes and goes."""
    with watch.owner("start a thread"):
        inherited = contextvars.copy_context()

    def around(once):
        for _ in range(4):
            inherited.run(once)

    assert grown(work, around) <= 330


def test_memory_is_flat_in_a_task_that_outlives_its_owner(watch, seen, run_async, make_session):
    """An endpoint that starts a poller, which opens a session every time."""

    async def body(engine):
        turns = 0

        async def poll():
            nonlocal turns
            while True:
                with make_session() as session:
                    session.execute(ONE)
                turns += 1
                await asyncio.sleep(0)

        async def rounds(number):
            for _ in range(number):
                await asyncio.sleep(0)
            return _alive()

        with watch.owner("start a poller"):
            task = asyncio.create_task(poll())
        before = await rounds(300)
        after = await rounds(200)
        task.cancel()
        assert turns >= 499
        assert after - before <= 70
        assert len(task._callbacks or ()) <= 1

    run_async(body)
    assert seen.counts("open") == {"open": 0}
    assert seen.snapshot.open_sessions == []


def test_memory_is_flat_over_leaks_that_come_back(watch, grown):
    def work(make_session, models):
        with watch.owner("job"):
            session = make_session()
            session.execute(ONE)
        session.close()

    assert grown(work, lambda once: once()) <= 70


def test_counts_are_right_after_all_that(watch, seen, grown):
    grown(_closed, lambda once: once())
    gc.collect()
    assert seen.counts("opened", "closed", "statements", "checkouts", "checkins", "open") == {
        "opened": 500,
        "closed": 500,
        "statements": 500,
        "checkouts": 500,
        "checkins": 500,
        "open": 0,
    }
