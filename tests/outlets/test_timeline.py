"""The course of an owner as a plain value: what it did, in which lane, at which second."""

from __future__ import annotations

import gc
import json
import weakref
from contextlib import suppress

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sessionwatch import Settings
from sessionwatch.courses import MOST_SESSIONS
from sessionwatch.records.transaction import MOST_DRAWN

ONE = select(1)


class Job:
    """One job on the test's clock, whose course is read when it is over."""

    def __init__(self, watch, clock):
        self.watch, self.clock = watch, clock

    def __enter__(self):
        self.owner_context = self.watch.owner("import")
        self.owner = self.owner_context.__enter__()
        return self

    def __exit__(self, *error):
        self.clock.advance(1)
        return self.owner_context.__exit__(*error)

    @property
    def course(self):
        return self.watch.timeline(self.owner.number)

    def spans(self, kind):
        return [
            (span["from"], span["to"], span["state"])
            for lane in self.course["lanes"]
            if lane["kind"] == kind
            for span in lane["spans"]
        ]

    def moments(self, kind):
        return [
            (moment["at"], moment["kind"])
            for lane in self.course["lanes"]
            if lane["kind"] == kind
            for moment in lane["moments"]
        ]


@pytest.fixture
def job(make_watch, clock):
    return Job(make_watch(Settings(timelines="all")), clock)


def test_every_lane_of_a_unit_of_work(job, clock, make_session, models):
    with job:
        clock.advance(1)
        session = make_session()
        clock.advance(1)
        session.add(models.Item(name="lamp"))
        session.flush()
        clock.advance(1)
        session.commit()
        clock.advance(1)
        session.close()
    course = job.course
    assert [lane["kind"] for lane in course["lanes"]] == [
        "owner",
        "session",
        "transaction",
        "connection",
    ]
    assert job.spans("owner") == [(0.0, 5.0, "running")]
    assert job.spans("session") == [(1.0, 4.0, "closed")]
    assert job.spans("transaction") == [(2.0, 3.0, "committed")]
    assert job.spans("connection") == [(2.0, 3.0, "returned")]
    assert job.moments("session") == [(1.0, "open"), (4.0, "close")]
    assert job.moments("transaction") == [(2.0, "begin"), (2.0, "flush"), (3.0, "commit")]
    assert job.moments("connection") == [(2.0, "checkout"), (3.0, "return")]
    assert job.moments("owner") == [(5.0, "end")]
    opened = course["lanes"][1]["moments"][0]["place"]
    assert opened["function"] == "test_every_lane_of_a_unit_of_work"
    commit = course["lanes"][2]["moments"][-1]
    assert (commit["words"], commit["writes"]) == ("1 write committed", 1)
    assert commit["place"]["line"] == opened["line"] + 5
    assert (course["seconds"], course["ended"], course["findings"]) == (5.0, True, [])
    assert json.loads(json.dumps(course)) == course


def test_every_transaction_of_a_session_that_only_reads(job, clock, make_session):
    with job, make_session() as session:
        for _ in range(3):
            session.execute(ONE)
            clock.advance(1)
            session.commit()
            clock.advance(1)
    assert job.spans("transaction") == [(n, n + 1.0, "committed") for n in (0.0, 2.0, 4.0)]
    assert job.spans("connection") == [(n, n + 1.0, "returned") for n in (0.0, 2.0, 4.0)]


def test_a_session_that_goes_on_for_long_keeps_the_newest(job, clock, make_session, models):
    with job, make_session() as session:
        for number in range(3 * MOST_DRAWN):
            session.execute(ONE)
            session.add(models.Item(name=str(number)))
            session.flush()
            session.flush()
            session.rollback()
            session.execute(ONE)
            session.rollback()
            clock.advance(1)
    began = [span[0] for span in job.spans("connection")]
    assert began == [float(n // 2) for n in range(5 * MOST_DRAWN, 6 * MOST_DRAWN)]
    reads = [each for each in job.spans("transaction") if each[0] == 3 * MOST_DRAWN - 1]
    assert [state for *_, state in reads] == ["rolled back"] * 2


def test_very_many_flushes_are_not_all_kept(job, make_session, models):
    with job, make_session() as session:
        for number in range(3 * MOST_DRAWN):
            session.add(models.Item(name=str(number)))
            session.flush()
        session.rollback()
    flushes = [kind for _, kind in job.moments("transaction") if kind == "flush"]
    assert len(flushes) == MOST_DRAWN


@pytest.mark.parametrize(
    ("end", "state", "moment"),
    [
        (Session.rollback, "rolled back", "rollback"),
        (Session.commit, "committed", "commit"),
        (Session.close, "discarded", "discarded"),
    ],
)
def test_how_a_transaction_with_writes_ends(job, clock, make_session, models, end, state, moment):
    with job, make_session() as session:
        session.execute(insert(models.Item).values(name="lamp"))
        clock.advance(1)
        end(session)
    assert job.spans("transaction") == [(0.0, 1.0, state)]
    assert job.moments("transaction")[-1] == (1.0, moment)


def test_a_commit_that_fails_is_told_apart_from_what_became_of_it(job, clock, make_session, models):
    with suppress(IntegrityError), job, make_session() as session:
        session.add(models.Part(item_id=models.no_such_item))
        session.flush()
        clock.advance(1)
        session.commit()
    kinds = [kind for _, kind in job.moments("transaction")]
    assert kinds == ["begin", "flush", "commit fails", "discarded"]
    assert job.moments("owner")[-1][1] == "raised"


def test_a_leak_goes_on_until_now(job, clock, make_session):
    with job:
        session = make_session()
        session.execute(ONE)
    clock.advance(9)
    assert job.spans("session") == [(0.0, None, "in transaction")]
    assert job.spans("connection") == [(0.0, None, "out")]
    assert job.course["seconds"] == 10.0
    (pin,) = job.course["findings"]
    assert (pin["at"], pin["code"], pin["severity"]) == (1.0, "SW101", "error")
    session.close()
    assert job.spans("connection") == [(0.0, 10.0, "returned")]


def test_what_the_garbage_collector_took(job, clock, make_session):
    with job:
        session = make_session()
        session.execute(ONE)
    clock.advance(3)
    del session
    gc.collect()
    assert job.spans("session") == [(0.0, 4.0, "collected")]
    assert job.spans("connection") == [(0.0, 4.0, "reclaimed")]
    codes = [(pin["code"], pin["at"]) for pin in job.course["findings"]]
    assert codes == [("SW101", 1.0)]


def test_a_session_that_went_without_a_connection(job, clock, make_session):
    """Nobody knows when: it is drawn to its last use, and the words say so."""
    with job:
        make_session()
        clock.advance(1)
        gc.collect()
    lane = job.course["lanes"][1]
    assert lane["spans"][0]["state"] == "collected"
    assert "at some time after its last use" in lane["moments"][-1]["words"]


def test_a_connection_without_a_session(job, clock, engine):
    with job, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        clock.advance(1)
    assert job.spans("connection") == [(0.0, 1.0, "returned")]


def test_findings_stand_at_the_moment_that_they_speak_of(job, clock, make_session, models):
    with suppress(ValueError), job, make_session() as session:
        session.execute(insert(models.Item).values(name="lamp"))
        session.commit()
        clock.advance(1)
        session.execute(insert(models.Item).values(name="bulb"))
        clock.advance(1)
        session.close()
        clock.advance(1)
        raise ValueError
    assert [(pin["code"], pin["at"]) for pin in job.course["findings"]] == [("SW202", 2.0)]


def test_an_owner_under_way_can_be_looked_at(job, clock, make_session):
    with job, make_session() as session:
        session.execute(ONE)
        clock.advance(2)
        assert job.spans("session") == [(0.0, None, "in transaction")]
        assert (job.course["seconds"], job.course["ended"]) == (2.0, False)


def test_the_process_can_be_looked_at(watch, make_session):
    with make_session() as session:
        session.execute(ONE)
        course = watch.timeline(watch.process_owner.number)
    assert [lane["kind"] for lane in course["lanes"]][:2] == ["owner", "session"]


def test_very_many_sessions_are_not_all_shown(job, make_session):
    with job:
        for _ in range(MOST_SESSIONS + 5):
            make_session().close()
    assert len(job.spans("session")) == MOST_SESSIONS
    assert job.course["sessions_left_out"] == 5


def test_whose_course_is_kept(make_watch, clock, make_session, models):
    def run(watch, *, write):
        with Job(watch, clock) as job, make_session() as session:
            session.execute(ONE)
            if write:
                session.execute(insert(models.Item).values(name="lamp"))
                session.rollback()
        return job.course is not None

    kept = {
        timelines: [run(make_watch(Settings(timelines=timelines)), write=each) for each in (0, 1)]
        for timelines in ("off", "eventful", "all")
    }
    assert kept == {"off": [False, False], "eventful": [False, True], "all": [True, True]}


def test_the_newest_course_of_a_finding_outlives_the_newest_of_all(make_watch, clock, make_session):
    watch = make_watch(Settings(max_timelines=2))
    leaked = []

    def leak():
        with Job(watch, clock) as job:
            leaked.append(make_session())
            leaked[-1].execute(ONE)
        return job.owner.number

    first, second = leak(), leak()
    for _ in range(5):
        with watch.owner("other"), make_session() as session:
            session.execute(text("CREATE TABLE IF NOT EXISTS other (id INTEGER)"))
            session.add_all([])
            session.rollback()
            leaked.append(make_session())
    assert watch.timeline(first) is None
    assert watch.timeline(second)["findings"][0]["code"] == "SW101"
    assert watch.snapshot().findings[0]["owner"]["id"] == second
    for session in leaked:
        session.close()


def test_no_course_keeps_a_session_alive_or_an_owner_in_a_cycle(make_watch, clock, make_session):
    watch = make_watch(Settings(timelines="all", max_timelines=1))
    gc.collect()
    gc.disable()
    try:
        seen = []
        for _ in range(3):
            with Job(watch, clock), make_session() as session:
                seen.append(weakref.ref(session))
                session.execute(ONE)
        del session
        assert [reference() for reference in seen] == [None] * 3
    finally:
        gc.enable()
