"""The only watch is started and stopped while threads and a real server are at work."""

from __future__ import annotations

import gc
import threading

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings
from sessionwatch.instruments import attribution, holds, switch

httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")

ONE = select(1)
QUIET = Settings(log_findings=False, idle_hold_seconds=0.01)
STARTS = 60


def instrumented():
    """The methods of SQLAlchemy that are wrapped by ours now."""
    return [
        each._name for each in switch._PATCHES if vars(each._owner)[each._name] is each._wrapper
    ]


def judge(watch, engine, truth):
    """Judge a watch that saw only a part: what it counts as open is open, or nobody told it."""
    gc.collect()
    with watch:
        snapshot = watch.snapshot()
    counts = snapshot.totals.counts
    assert snapshot.internal_errors["count"] == 0, snapshot.internal_errors
    assert counts.opened <= truth.opened
    assert counts.open == len(snapshot.open_sessions) == 0
    assert truth.alive == 0
    assert engine.pool.checkedout() == 0
    assert instrumented() == []
    assert attribution._running == []
    return counts


def test_threads(make_engine, truth, side_by_side):
    engine = make_engine(pool_size=10)
    watch = SessionWatch(QUIET)
    over = threading.Event()
    ended = threading.Semaphore(0)

    def work():
        try:
            while not over.is_set():
                with truth.session_class(engine) as session:
                    session.execute(ONE)
                with watch.owner("job"), truth.session_class(engine) as session:
                    session.execute(ONE)
                session = truth.session_class(engine)
                session.execute(ONE)
                session.info["cycle"] = session
                del session
        finally:
            ended.release()

    def toggle():
        try:
            for _ in range(STARTS):
                with watch:
                    watch.snapshot()
                    gc.collect()
        finally:
            over.set()

    def collect():
        """Give back what was left, as others may wait for it, until all have ended."""
        for _ in range(3):
            while not ended.acquire(timeout=0.01):
                gc.collect()

    side_by_side(work, work, work, toggle, collect)
    counts = judge(watch, engine, truth)
    assert counts.opened > 0


def test_last_stop_in_mid_transaction(make_engine, truth, side_by_side):
    """Sessions that were opened under a watch go on without it, and those before it with it."""
    engine = make_engine(pool_size=10)
    watch = SessionWatch(QUIET)
    turn_over, toggled = threading.Barrier(5), threading.Barrier(5)

    def work():
        for _ in range(STARTS):
            with truth.session_class(engine) as session:
                session.execute(ONE)
                turn_over.wait(30)
                toggled.wait(30)
                session.execute(ONE)
                session.rollback()

    def toggle():
        for turn in range(STARTS):
            turn_over.wait(30)
            watch.stop() if turn % 2 else watch.start()
            toggled.wait(30)

    side_by_side(work, work, work, work, toggle)
    assert not watch.running
    judge(watch, engine, truth)


class Server:
    """A real uvicorn in a thread."""

    def __init__(self, app):
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            threading.Event().wait(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *exception):
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_real_server(make_engine, truth, side_by_side):
    """Every client gets its answer, whether a watch starts or stops beneath it."""
    engine = make_engine(pool_size=10)
    watch = SessionWatch(QUIET)
    over = threading.Event()
    answers = []

    def get_session():
        with truth.session_class(engine) as session:
            yield session

    app = FastAPI()

    @app.get("/sync/{number}")
    def read(number: int, session: Session = Depends(get_session)):
        return session.scalar(ONE) + number

    @app.get("/async/{number}")
    async def read_async(number: int, session: Session = Depends(get_session)):
        return session.scalar(ONE) + number

    with Server(SessionWatchMiddleware(app, watch)) as url:

        def client(kind):
            def ask():
                with httpx.Client() as asking:
                    number = 0
                    while not over.is_set():
                        answer = asking.get(f"{url}/{kind}/{number}")
                        answers.append((answer.status_code, answer.json() - number))
                        number += 1

            return ask

        def toggle():
            try:
                for _ in range(STARTS):
                    with watch:
                        asked = len(answers)
                        while len(answers) < asked + 2:
                            threading.Event().wait(0.001)
            finally:
                over.set()

        side_by_side(client("sync"), client("async"), client("sync"), toggle)
    assert set(answers) == {(200, 1)}
    assert judge(watch, engine, truth).opened > STARTS


def test_the_modules_are_as_they_were(engine, truth):
    """After very many starts there is one layer of nothing."""
    before = {each: vars(each._owner)[each._name] for each in switch._PATCHES}
    for _ in range(STARTS):
        with SessionWatch(QUIET), truth.session_class(engine) as session:
            session.execute(ONE)
    assert {each: vars(each._owner)[each._name] for each in switch._PATCHES} == before
    assert instrumented() == []
    assert list(holds.pool_records()) == []


def test_listeners_do_nothing_without_a_watch(engine, truth, monkeypatch):
    """A session that a watch saw opened goes on, and ends, when no watch runs any more."""
    watch = SessionWatch(QUIET)
    with watch:
        session = truth.session_class(engine)
        session.execute(ONE)
    before = watch.snapshot().to_dict()["totals"]
    called = []
    for _, _, hook in switch._LISTENERS:
        (inner,) = hook.__closure__
        monkeypatch.setattr(inner, "cell_contents", lambda *_: called.append(1))
    session.commit()
    session.execute(ONE)
    session.close()
    assert called == []
    assert watch.snapshot().to_dict()["totals"] == before
    with watch, truth.session_class(engine) as session:
        session.execute(ONE)
    assert called
