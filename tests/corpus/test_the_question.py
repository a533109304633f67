"""The question at the end of every program can be answered with no."""

import time

import pytest
from sqlalchemy import select

ONE = select(1)


@pytest.fixture
def other_watch(make_watch):
    """A second watch, as the first must find nothing here either."""
    return make_watch(clock=time.perf_counter_ns, wall_clock=time.time)


@pytest.fixture(autouse=True)
def watched_by_the_first(watch, make_session):
    with watch.owner("correct"), make_session() as session:
        session.execute(ONE)


def test_correct_program(other_watch, make_session, judge):
    with other_watch.owner("job"), make_session() as session:
        session.execute(ONE)
    judge(other_watch)


def test_leak(other_watch, make_session, judge):
    with other_watch.owner("job"):
        session = make_session()
        session.execute(ONE)
    with pytest.raises(AssertionError, match="SW101 session leak: job"):
        judge(other_watch)
    session.close()


def test_leak_that_the_garbage_collector_finds(other_watch, make_session, judge):
    with other_watch.owner("job"):
        make_session().execute(ONE)
    with pytest.raises(AssertionError, match="false alarms"):
        judge(other_watch)


def test_open_session(other_watch, make_session, judge):
    with other_watch.owner("job"):
        session = make_session()
    with pytest.raises(AssertionError, match="still open"):
        judge(other_watch)
    session.close()


def test_nothing_seen(other_watch, judge):
    with (
        other_watch.owner("job"),
        pytest.raises(AssertionError, match="no session was watched"),
    ):
        judge(other_watch)
