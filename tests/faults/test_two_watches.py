"""Two watches at once, over each other and beside each other."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings

ONE = select(1)
QUIET = Settings(log_findings=False)


def opened(watch):
    return watch.snapshot().totals.counts.opened


def application(engine, session_class):
    async def app(scope, receive, send):
        with session_class(engine) as session:
            session.execute(ONE)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


async def request(app):
    sent = []

    async def send(message):
        await asyncio.sleep(0)
        sent.append(message)

    await app({"type": "http", "method": "GET", "path": "/", "headers": []}, None, send)
    return sent


def test_two_middlewares_around_one_application(make_watch, engine, truth, unharmed):
    """The outermost has the request; the other one sees nothing, and breaks nothing."""
    outer, inner = make_watch(QUIET), make_watch(QUIET)
    bare = application(engine, truth.session_class)
    app = SessionWatchMiddleware(SessionWatchMiddleware(bare, inner), outer)

    async def both():
        return [await request(app) for _ in range(10)], await request(bare)

    answers, expected = asyncio.run(both())
    assert answers == [expected] * 10
    assert (opened(outer), opened(inner)) == (10, 1)
    unharmed(outer, engine, opened=10)
    unharmed(inner, engine, opened=1)


def test_two_applications(make_watch, engine, truth, unharmed):
    watches = [make_watch(QUIET), make_watch(QUIET)]
    bare = application(engine, truth.session_class)
    apps = [SessionWatchMiddleware(bare, watch) for watch in watches]

    async def crowd():
        await asyncio.gather(*(request(apps[number % 3 == 0]) for number in range(90)))

    asyncio.run(crowd())
    for watch, number in zip(watches, (60, 30), strict=True):
        unharmed(watch, engine, opened=number)


@pytest.mark.parametrize("first", [0, 1])
def test_either_may_stop_first(engine, truth, unharmed, first):
    """Sessions of a watch that is over are still told to it while the other goes on."""
    original = Session.__dict__["close"]
    watches = [SessionWatch(QUIET).start() for _ in range(2)]
    with watches[0].owner("a"), watches[1].owner("b"), truth.session_class(engine) as session:
        session.execute(ONE)
        watches[first].stop()
        session.execute(ONE)
    with truth.session_class(engine) as session:
        session.execute(ONE)
    watches[1 - first].stop()
    assert Session.__dict__["close"] is original
    del session
    totals = [unharmed(watch, engine, opened=None) for watch in watches]
    assert sum(each["opened"] for each in totals) == truth.opened


def test_threads_of_two_watches(make_watch, make_engine, truth, unharmed, side_by_side):
    """Each thread works for one of them, and closes what the other's thread has opened."""
    engine = make_engine(pool_size=20)
    watches = [make_watch(QUIET), make_watch(QUIET)]
    shared: list[list[Session]] = [[], []]
    barrier = threading.Barrier(2)

    def work(mine):
        for _ in range(50):
            with watches[mine].owner("thread"):
                session = truth.session_class(engine)
                session.execute(ONE)
                shared[mine].append(session)
                barrier.wait(30)
                shared[1 - mine].pop().close()
                barrier.wait(30)

    side_by_side(lambda: work(0), lambda: work(1))
    for watch in watches:
        unharmed(watch, engine, opened=50)
