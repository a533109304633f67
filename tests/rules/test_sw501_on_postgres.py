"""SW501 pool-exhausted, held against what PostgreSQL itself says of its connections."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

POOL = "pool-of-five"
LONG = "SELECT pg_sleep(60)"
STATES = (
    "SELECT pid, state FROM pg_stat_activity "
    "WHERE application_name = %s AND backend_type = 'client backend'"
)


@pytest.fixture
def observer(postgres_url):
    """A connection of the test's own, through the driver alone."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def make_session(postgres_url):
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(
        url,
        pool_size=5,
        max_overflow=0,
        pool_timeout=0.01,
        connect_args={"application_name": POOL},
    )
    yield sessionmaker(engine)
    engine.dispose()


@pytest.fixture
def busy(observer, make_session):
    """Hold a connection with a statement that runs until the test is over."""
    session = make_session()

    def work():
        with session, pytest.raises(Exception, match="canceling statement"):
            session.execute(text(LONG))

    def until_it_runs():
        for _ in range(1000):
            if ("active",) in observer.execute(STATES.replace("pid, ", ""), [POOL]).fetchall():
                return
            threading.Event().wait(0.01)
        raise AssertionError("the statement never ran")

    thread = threading.Thread(target=work)
    thread.start()
    until_it_runs()
    yield session
    for pid, state in observer.execute(STATES, [POOL]).fetchall():
        if state == "active":
            observer.execute("SELECT pg_cancel_backend(%s)", [pid])
    thread.join(10)
    assert not thread.is_alive()


def test_three_leaked_one_idle_one_busy(watch, seen, make_session, busy, observer):
    leaked = [_leak(watch, make_session) for _ in range(3)]
    with watch.owner("GET /slow"), make_session() as idle:
        idle.execute(select(1))
        with (
            watch.owner("GET /items"),
            make_session() as session,
            pytest.raises(PoolTimeoutError),
        ):
            session.execute(select(1))
        states = Counter(state for _, state in observer.execute(STATES, [POOL]).fetchall())
    finding = next(each for each in seen.findings if each["code"] == "SW501")
    holders = {holder["state"]: holder for holder in finding["details"]["holders"]}

    assert {state: holder["count"] for state, holder in holders.items()} == {
        "leaked": 3,
        "idle": 1,
        "busy": 1,
    }
    assert "GET /leaky, opened at" in holders["leaked"]["holder"]
    assert "in _leak" in holders["leaked"]["holder"]
    assert "GET /slow, opened at" in holders["idle"]["holder"]
    assert "process, opened at" in holders["busy"]["holder"]
    assert "in busy" in holders["busy"]["holder"]
    assert "(5 of 5 in use: 3 leaked, 1 idle, 1 busy)" in finding["message"]
    assert "fix this leak first: 3 connections by GET /leaky" in finding["message"]

    assert states["active"] == holders["busy"]["count"]
    assert states["idle in transaction"] == holders["leaked"]["count"] + holders["idle"]["count"]
    assert states.total() == 5
    for session in leaked:
        session.close()


def _leak(watch, make_session) -> Session:
    with watch.owner("GET /leaky"):
        session = make_session()
        session.execute(select(1))
    return session
