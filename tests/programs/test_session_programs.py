"""Random programs of sessions, owners and garbage collections, held against a plain model."""

from __future__ import annotations

import contextlib
import gc
import os
import sqlite3
import weakref
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, close_all_sessions

import sessionwatch

PROGRAMS = int(os.environ.get("RANDOM_PROGRAMS", "400"))
SEED = os.environ.get("RANDOM_PROGRAMS_SEED")
STEPS_OF_A_PROGRAM = 60
STEPS_AT_LEAST = 20_000

COUNTED = (
    "opened",
    "closed",
    "collected",
    "committed",
    "savepoints_released",
    "rolled_back",
    "discarded",
    "flushes",
    "statements",
    "writes",
    "checkouts",
    "checkins",
)
SESSIONS_AT_ONCE = 4
DEEPEST_SAVEPOINT = 3
INSERT_ORPHAN = text("INSERT INTO part (item_id) VALUES (999)")
DELETE = text("DELETE FROM item WHERE name = :name")
NONSENSE = text("SELECT nonsense FROM nowhere")

anyone = st.integers(0, SESSIONS_AT_ONCE - 1)
levels = st.integers(0, DEEPEST_SAVEPOINT - 1)
names = st.sampled_from("abcdefgh")


class SessionPrograms(RuleBasedStateMachine):
    """Does each thing to the model first, and then for certain."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage
        self.world = stage.make_world(stage.read_version)
        self.running = []
        self.sessions = []
        self.dropped = []
        stage.tally.counts.clear()
        self.agreed = True
        self.watch = sessionwatch.SessionWatch(
            sessionwatch.Settings(log_findings=False), clock=stage.clock, wall_clock=stage.clock.wall
        )
        self.watch.start()

    def teardown(self):
        try:
            if self.agreed:
                self.end()
        finally:
            while self.running:
                self.running.pop().__exit__(None, None, None)
            self.watch.stop()
            self.stage.clear()

    def end(self):
        """End what is under way; nothing may be out then."""
        while self.running:
            self.end_owner(failing=False)
        while self.sessions:
            self.close(0, "close")
            self.drop(0)
        self.collect()
        self.everything_agrees()
        assert self.stage.engine.pool.checkedout() == 0

    # What is done.

    @precondition(lambda self: len(self.sessions) + len(self.dropped) < SESSIONS_AT_ONCE)
    @rule(final=st.sampled_from([False, False, False, True]))
    def open(self, final):
        session = self.world.open(final)
        session.handle = Session(self.stage.engine, close_resets_only=not final)
        session.reference = weakref.ref(session.handle)
        self.sessions.append(session)

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone, name=names)
    def add(self, pick, name):
        session = self.one_of(self.sessions, pick)
        item = self.stage.Item(name=name)
        self.both(lambda: session.add(name), lambda: session.handle.add(item))

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def flush(self, pick):
        session = self.one_of(self.sessions, pick)
        self.both(session.flush, session.handle.flush)

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def query(self, pick):
        session = self.one_of(self.sessions, pick)
        found = []

        def read():
            found.extend(session.handle.scalars(select(self.stage.Item.name)))

        if self.both(session.query, read):
            assert sorted(found) == sorted(session.root.work.rows)

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone, name=names)
    def delete(self, pick, name):
        session = self.one_of(self.sessions, pick)
        self.both(
            lambda: session.delete(name),
            lambda: self.execute(session, DELETE, name=name),
        )

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def insert_orphan(self, pick):
        session = self.one_of(self.sessions, pick)
        self.both(session.insert_orphan, lambda: self.execute(session, INSERT_ORPHAN))

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def execute_nonsense(self, pick):
        session = self.one_of(self.sessions, pick)
        self.both(session.execute_nonsense, lambda: self.execute(session, NONSENSE))

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def begin_savepoint(self, pick):
        session = self.one_of(self.sessions, pick)
        begun = []
        if self.both(
            session.begin_savepoint, lambda: begun.append(session.handle.begin_nested())
        ):
            session.root.savepoints[-1].handle = begun.pop()

    @precondition(lambda self: self.with_savepoints())
    @rule(pick=anyone, level=levels)
    def release_savepoint(self, pick, level):
        session, level, handle = self.a_savepoint(pick, level)
        self.both(lambda: session.release(level), handle.commit)

    @precondition(lambda self: self.with_savepoints())
    @rule(pick=anyone, level=levels)
    def roll_back_savepoint(self, pick, level):
        session, level, handle = self.a_savepoint(pick, level)
        self.both(lambda: session.roll_back_to(level), handle.rollback)

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def commit(self, pick):
        session = self.one_of(self.sessions, pick)
        self.both(session.commit, session.handle.commit)

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def rollback(self, pick):
        session = self.one_of(self.sessions, pick)
        self.both(session.rollback, session.handle.rollback)

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone, how=st.sampled_from(["close", "reset", "invalidate"]))
    def close(self, pick, how):
        session = self.one_of(self.sessions, pick)
        self.both(lambda: session.close(how), getattr(session.handle, how))

    @precondition(lambda self: self.sessions)
    @rule(pick=anyone)
    def drop(self, pick):
        """Let go of a session; in a transaction it stays, as the two refer to each other."""
        session = self.one_of(self.sessions, pick)
        self.sessions.remove(session)
        session.handle = None
        if session.root is not None:
            for savepoint in session.root.savepoints:
                savepoint.handle = None
            assert session.reference() is not None
        if session.reference() is None:
            session.collect()
        else:
            self.dropped.append(session)

    @rule()
    def collect(self):
        for session in self.dropped:
            session.collect()
        gc.collect()
        assert [session.reference() for session in self.dropped] == [None] * len(self.dropped)
        self.dropped.clear()

    @precondition(lambda self: len(self.running) < 3)
    @rule()
    def begin_owner(self):
        job = self.watch.owner(self.world.begin_owner().name)
        job.__enter__()
        self.running.append(job)

    @precondition(lambda self: self.running)
    @rule(failing=st.booleans())
    def end_owner(self, failing):
        self.world.end_owner(failing)
        error = ValueError() if failing else None
        self.running.pop().__exit__(type(error) if failing else None, error, None)

    # What must be so after each step.

    @invariant()
    def everything_agrees(self):
        self.agreed = False
        self.stage.steps += 1
        self.stage.clock.advance()
        self.world.now += 1
        snapshot = self.watch.snapshot()
        self.the_books_agree(snapshot)
        self.the_findings_agree(snapshot)
        assert snapshot.internal_errors["count"] == 0
        assert self.stage.happened() == self.world.events
        assert self.stage.rows() == self.world.rows
        self.agreed = True

    def the_books_agree(self, snapshot):
        """Route by route, so that the totals agree too."""
        books = {owner.name: owner.books for owner in self.world.owners if owner.sessions}
        routes = {name: route.to_dict() for name, route in snapshot.routes.items()}
        assert routes.keys() == books.keys()
        for name, book in books.items():
            seen = {what: routes[name][what] for what in COUNTED}
            told = {what: book[what] for what in COUNTED}
            assert seen == told, (name, [(w, seen[w], told[w]) for w in COUNTED if seen[w]!=told[w]])
        still_open = sum(
            book["opened"] - book["closed"] - book["collected"] for book in books.values()
        )
        assert snapshot.totals.to_dict()["open"] == len(snapshot.open_sessions) == still_open
        out = self.world.events["checkouts"] - self.world.events["checkins"]
        assert self.stage.engine.pool.checkedout() == out
        assert sum(pool["checked_out"] for pool in snapshot.pools) == out

    def the_findings_agree(self, snapshot):
        findings, returned = Counter(), Counter()
        for finding in snapshot.findings:
            owner = finding["owner"]["name"]
            findings[finding["code"], owner] += finding["count"]
            returned[owner] += finding["details"].get("returned_later", 0)
        assert findings == self.world.findings
        assert returned == self.world.returned_later

    # How it is done.

    @staticmethod
    def one_of(candidates, pick):
        return candidates[pick % len(candidates)]

    @staticmethod
    def execute(session, statement, **parameters):
        """Flush first, which SQLAlchemy does before textual SQL from 2.1 on."""
        session.handle.flush()
        session.handle.execute(statement, parameters)

    def with_savepoints(self):
        return [each for each in self.sessions if each.root and each.root.savepoints]

    def a_savepoint(self, pick, level):
        session = self.one_of(self.with_savepoints(), pick)
        level %= len(session.root.savepoints)
        return session, level, session.root.savepoints[level].handle

    def both(self, foretell, act):
        """Return whether it went well, after it failed or did not just as the model said."""
        self.agreed = False
        foretold = happened = None
        try:
            foretell()
        except self.stage.foretold as error:
            foretold = error.kind
        try:
            act()
        except SQLAlchemyError as error:
            happened = type(error)
        assert happened is foretold
        return foretold is None


class Stage(SimpleNamespace):
    """What all programs share: the engine, and a look at the database past SQLAlchemy."""

    def read_version(self):
        return self.witness.execute("PRAGMA data_version").fetchone()[0]

    def happened(self):
        return {name: number for name, number in self.tally.counts.items() if name != "writes"}

    def rows(self):
        return {name for (name,) in self.witness.execute("SELECT name FROM item")}

    def clear(self):
        close_all_sessions()
        gc.collect()
        self.witness.execute("DELETE FROM item")


@pytest.fixture
def witness(database_path):
    """A connection of the test's own, to a database where readers do not stop the writer."""
    with contextlib.closing(sqlite3.connect(database_path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        yield connection


@pytest.fixture
def stage(witness, savepoint_engine, make_tally, make_world, foretold, models, clock):
    @event.listens_for(savepoint_engine, "connect")
    def never_wait_for_a_lock(connection, entry):
        connection.execute("PRAGMA busy_timeout=0")

    @event.listens_for(savepoint_engine, "reset")
    def roll_back_in_any_case(connection, entry, state):
        """SQLAlchemy (2.0 and 2.1) leaves it out if a session is closed whose COMMIT failed."""
        connection.rollback()

    savepoint_engine.connect().close()
    return Stage(
        witness=witness,
        engine=savepoint_engine,
        tally=make_tally(savepoint_engine),
        make_world=make_world,
        foretold=foretold,
        Item=models.Item,
        clock=clock,
        steps=0,
    )


@pytest.fixture
def no_collection_by_chance():
    """The garbage is collected when a program says so."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection_by_chance")
@pytest.mark.filterwarnings("ignore:Session's state has been changed on a non-active transaction")
def test_model_and_watch_agree_on_every_program(stage):
    def program():
        return SessionPrograms(stage)

    if SEED is not None:
        program = seed(int(SEED))(program)
    run_state_machine_as_test(
        program,
        settings=settings(
            max_examples=PROGRAMS,
            stateful_step_count=STEPS_OF_A_PROGRAM,
            derandomize=SEED is None,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert stage.steps >= min(STEPS_AT_LEAST, PROGRAMS)
