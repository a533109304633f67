"""The lab's own log of what was called on the sessions of the demo app."""

import gc

import pytest
from sqlalchemy import text

from sessionwatch.lab.call_log import CallLog, logged_async_sessionmaker, logged_sessionmaker


@pytest.fixture
def log():
    return CallLog()


@pytest.fixture
def make_logged(engine, log):
    return logged_sessionmaker(engine, log)


def test_the_calls_of_each_session_in_order(make_logged, log):
    first, second = make_logged(), make_logged()
    second.commit()
    first.rollback()
    second.close()
    first.close()

    assert log.calls == ["rollback, close", "commit, close"]
    assert (log.opened, log.closed) == (2, 2)


def test_a_session_that_nobody_closes(make_logged, log):
    session = make_logged()
    session.execute(text("SELECT 1"))

    assert (log.opened, log.closed) == (1, 0)
    session.close()


def test_a_closed_session_that_is_used_again_is_open(make_logged, log):
    session = make_logged()
    session.close()
    session.execute(text("SELECT 1"))
    assert log.closed == 0

    session.close()
    assert log.closed == 1


def test_a_with_block_closes(make_logged, log):
    with make_logged.begin():
        pass

    assert log.calls == ["close"]
    assert log.closed == 1


def test_the_log_keeps_no_session_alive(make_logged, log):
    make_logged().close()
    gc.collect()

    assert log._sessions[0].session() is None


def test_an_async_session_is_logged_alike(run_async, log):
    async def body(engine):
        make_session = logged_async_sessionmaker(engine, log)
        async with make_session() as session:
            await session.execute(text("SELECT 1"))
            await session.commit()

    run_async(body)

    assert log.calls == ["commit, close"]
    assert (log.opened, log.closed) == (1, 1)
