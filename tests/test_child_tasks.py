"""An owner is judged when the child tasks that hold its sessions are done with them."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from sqlalchemy import select

from sessionwatch import Settings

ONE = select(1)


def test_child_that_closes_later_is_silent(watch, seen, run_async, make_session):
    async def body(engine):
        go_on = asyncio.Event()

        async def child():
            with make_session() as session:
                session.execute(ONE)
                await go_on.wait()

        with watch.owner("job"):
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
        assert watch.active_owners() == 1
        go_on.set()
        await task
        await asyncio.sleep(0)

    run_async(body)
    assert watch.active_owners() == 0
    assert seen.codes == []
    assert seen.totals["owners"] == 1


def test_child_that_never_closes_is_a_leak(watch, seen, run_async, make_session):
    kept = []

    async def body(engine):
        async def child():
            kept.append(make_session())
            kept[0].execute(ONE)
            await asyncio.sleep(0)

        with watch.owner("job"):
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
        assert seen.codes == []
        await task
        await asyncio.sleep(0)

    run_async(body)
    assert watch.active_owners() == 0
    assert seen.codes == ["SW101"]
    kept[0].close()


def test_child_that_loses_writes_later(watch, seen, run_async, make_session, models, rows):
    async def body(engine):
        go_on = asyncio.Event()

        async def child():
            with make_session() as session:
                session.add(models.Item(name="a"))
                session.flush()
                await go_on.wait()

        with watch.owner("job"):
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
        go_on.set()
        await task
        await asyncio.sleep(0)

    run_async(body)
    assert rows() == 0
    assert seen.counts("discarded") == {"discarded": 1}
    assert seen.codes == ["SW203"]


def test_child_that_uses_its_parents_session(watch, seen, run_async, make_session):
    async def body(engine):
        go_on = asyncio.Event()

        async def child(session):
            session.execute(ONE)
            await go_on.wait()
            session.close()

        with watch.owner("job"):
            task = asyncio.create_task(child(make_session()))
            await asyncio.sleep(0)
        go_on.set()
        await task
        await asyncio.sleep(0)

    run_async(body)
    assert seen.codes == []


@pytest.mark.parametrize("closes", [True, False])
def test_child_that_opens_after_its_owner_ended(watch, seen, run_async, make_session, closes):
    kept = []

    async def body(engine):
        go_on = asyncio.Event()

        async def child():
            await go_on.wait()
            kept.append(make_session())
            kept[0].execute(ONE)
            assert seen.counts("opened", "open") == {"opened": 1, "open": 1}
            assert len(seen.snapshot.open_sessions) == 1
            if closes:
                kept[0].close()

        with watch.owner("job"):
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
        go_on.set()
        await task
        await asyncio.sleep(0)

    run_async(body)
    assert seen.counts("opened", "closed") == {"opened": 1, "closed": int(closes)}
    assert seen.codes == ([] if closes else ["SW101"])
    assert list(seen.snapshot.routes) == ["job"]
    kept[0].close()
    assert seen.counts("opened", "closed", "checkins") == {
        "opened": 1,
        "closed": 1,
        "checkins": 1,
    }


def test_child_that_opens_after_its_owner_ended_and_loses_writes(
    watch, seen, clock, run_async, make_session, models
):
    async def body(engine):
        go_on = asyncio.Event()

        async def child():
            await go_on.wait()
            with make_session() as session:
                session.add(models.Item(name="a"))
                session.flush()

        with watch.owner("job"):
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
        clock.advance()
        go_on.set()
        await task
        await asyncio.sleep(0)

    run_async(body)
    assert seen.counts("opened", "discarded") == {"opened": 1, "discarded": 1}
    assert seen.codes == ["SW203"]


def test_child_that_goes_on_for_ever_withholds_nothing(
    watch, seen, run_async, make_session, models
):
    """The owner waits for the sessions that are open, not for the end of their task."""

    async def body(engine):
        started, go_on = asyncio.Event(), asyncio.Event()

        async def child():
            with make_session() as session:
                session.execute(ONE)
                started.set()
                await go_on.wait()
            await asyncio.Event().wait()

        with watch.owner("job"):
            with make_session() as session:
                session.add(models.Item(name="lost"))
                session.flush()
            task = asyncio.create_task(child())
            await started.wait()
        go_on.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        assert seen.codes == ["SW203"]
        assert watch.active_owners() == 0
        task.cancel()

    run_async(body)
    assert seen.totals["owners"] == 1


def test_request_with_a_child_that_closes_later(watch, watched, seen, run_async, make_session):
    async def body(engine):
        tasks = []
        go_on = asyncio.Event()

        async def child():
            with make_session() as session:
                session.execute(ONE)
                await go_on.wait()

        async def app(scope, receive, send):
            tasks.append(asyncio.create_task(child()))
            await asyncio.sleep(0)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def send(message):
            pass

        await watched(app)({"type": "http", "method": "GET", "path": "/"}, None, send)
        assert watch.active_owners() == 1
        go_on.set()
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)

    run_async(body)
    assert watch.active_owners() == 0
    assert seen.codes == []


def test_thread_of_a_child_task_that_closes_later(watch, seen, make_session):
    """The task itself is in no session: the thread is, in the code that opened it."""
    running, go_on = threading.Event(), threading.Event()

    def work():
        with make_session() as session:
            session.execute(ONE)
            running.set()
            go_on.wait(10)

    async def main():
        with watch.owner("job"):
            task = asyncio.create_task(asyncio.to_thread(work))
            while not running.is_set():
                await asyncio.sleep(0.001)
        assert watch.active_owners() == 1
        await asyncio.sleep(0.05)
        assert watch.active_owners() == 1
        go_on.set()
        await task

    asyncio.run(main())
    assert watch.active_owners() == 0
    assert seen.codes == []


def test_thread_of_a_child_task_that_leaks(watch, seen, make_session):
    running, go_on = threading.Event(), threading.Event()
    kept = []

    def work():
        kept.append(make_session())
        kept[0].execute(ONE)
        running.set()
        go_on.wait(10)

    async def main():
        with watch.owner("job"):
            task = asyncio.create_task(asyncio.to_thread(work))
            while not running.is_set():
                await asyncio.sleep(0.001)
        assert seen.codes == []
        go_on.set()
        await task
        while watch.active_owners():
            await asyncio.sleep(0.01)

    asyncio.run(main())
    seen.only_finding("SW101")
    kept[0].close()


async def outlive_the_job(watch, make_session):
    """Have a job's child task hold a session until the event is set; returns both."""
    go_on = asyncio.Event()

    async def child():
        with make_session() as session:
            session.execute(ONE)
            await go_on.wait()

    with watch.owner("job"):
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
    return go_on, task


@pytest.mark.parametrize("grace_seconds", [0, 0.01])
def test_grace_that_is_over(make_watch, read, make_session, grace_seconds):
    """The task holds on to its session for longer than the settings allow."""
    watch = make_watch(Settings(child_task_grace_seconds=grace_seconds), clock=time.perf_counter_ns)

    async def main():
        go_on, task = await outlive_the_job(watch, make_session)
        while watch.active_owners():
            await asyncio.sleep(0.001)
        go_on.set()
        await task

    asyncio.run(main())
    seen = read(watch)
    assert seen.only_finding("SW101")["details"]["returned_later"] == 1


def test_grace_that_is_long_enough(make_watch, read, make_session):
    watch = make_watch(Settings(child_task_grace_seconds=60), clock=time.perf_counter_ns)

    async def main():
        go_on, task = await outlive_the_job(watch, make_session)
        await asyncio.sleep(0.02)
        go_on.set()
        await task

    asyncio.run(main())
    assert read(watch).codes == []
