"""Random programs of sessions, owners and garbage collections, held against a plain model.

Always the same ones, unless the environment says `RANDOM_PROGRAMS`, how many, or
`RANDOM_PROGRAMS_SEED`, a number to begin with. A failing program is printed as it is: to look for
the shortest that fails takes minutes, and is asked for by `RANDOM_PROGRAMS_SHRINK=1`.
"""

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
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, close_all_sessions

import sessionwatch

PROGRAMS_OF_CI = 640
PROGRAMS = int(os.environ.get("RANDOM_PROGRAMS", PROGRAMS_OF_CI))
SEED = int(os.environ.get("RANDOM_PROGRAMS_SEED", "0"))
SHRINK = "RANDOM_PROGRAMS_SHRINK" in os.environ
PARTS = 4
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
SESSIONS_AT_ONCE = 3
OWNERS_AT_ONCE = 2
DEEPEST_SAVEPOINT = 3
INSERT_ORPHAN = text("INSERT INTO part (item_id) VALUES (999)")
DELETE = text("DELETE FROM item WHERE name = :name")
NONSENSE = text("SELECT nonsense FROM nowhere")

anyone = st.integers(0, SESSIONS_AT_ONCE - 1)
levels = st.integers(0, DEEPEST_SAVEPOINT - 1)
names = st.sampled_from("abcdefghijkl")
kinds = st.sampled_from([False, False, False, False, True])

OPERATIONS = {
    "open": (1, kinds),
    "add": (2, anyone, names),
    "add_and_flush": (4, anyone, names),
    "flush": (1, anyone),
    "query": (1, anyone),
    "delete": (2, anyone, names),
    "insert_orphan": (1, anyone),
    "execute_nonsense": (1, anyone),
    "begin_savepoint": (2, anyone),
    "release_savepoint": (3, anyone, levels),
    "roll_back_savepoint": (2, anyone, levels),
    "commit": (3, anyone),
    "rollback": (2, anyone),
    "close": (2, anyone, st.sampled_from(["close", "reset", "invalidate"])),
    "drop": (2, anyone),
    "collect": (2,),
    "begin_owner": (1, kinds),
    "end_owner": (1, st.booleans()),
}
"""How often each is chosen, in proportion, and what it is called with."""

OFTEN_ENOUGH = {
    ("open", "well"): 400,
    ("add", "well"): 800,
    ("flush", "well"): 400,
    ("flush", "IntegrityError"): 20,
    ("flush", "OperationalError"): 100,
    ("flush", "PendingRollbackError"): 100,
    ("query", "well"): 100,
    ("delete", "well"): 200,
    ("insert_orphan", "well"): 100,
    ("execute_nonsense", "OperationalError"): 100,
    ("begin_savepoint", "well"): 200,
    ("release_savepoint", "well"): 28,
    ("roll_back_savepoint", "well"): 28,
    ("commit", "well"): 300,
    ("commit", "IntegrityError"): 20,
    ("commit", "PendingRollbackError"): 48,
    ("rollback", "well"): 300,
    ("close", "well"): 100,
    ("reset", "well"): 48,
    ("invalidate", "well"): 100,
    ("drop", "well"): 80,
    ("drop", "in transaction"): 148,
    ("collect", "well"): 80,
    ("begin_owner", "well"): 120,
    ("end_owner", "well"): 40,
    ("end_owner", "failed"): 40,
    "SW101": 60,
    "SW103": 60,
    "SW107": 60,
    "SW202": 4,
    "SW203": 4,
    "SW204": 400,
}
"""How often these must come about in the programs of CI, so that they can't become shallow.

Half of what this file alone brings about, or less: within the whole suite the programs are others,
with as little as half of some.
"""


@st.composite
def calls(draw):
    """Choose by hand: rules of their own would each be missing from half of the programs."""
    operation = draw(
        st.sampled_from([name for name in OPERATIONS for _ in range(OPERATIONS[name][0])])
    )
    return (operation, *(draw(each) for each in OPERATIONS[operation][1:]))


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
        self.counting = True
        self.tidy = True
        self.watch = sessionwatch.SessionWatch(
            sessionwatch.Settings(log_findings=False),
            clock=stage.clock,
            wall_clock=stage.clock.wall,
        )
        self.watch.start()

    def teardown(self):
        try:
            if self.agreed:
                self.end()
                self.stage.found.update(code for code, _ in self.world.findings.elements())
        finally:
            while self.running:
                self.running.pop().__exit__(None, None, None)
            self.watch.stop()
            self.sessions = self.world = self.watch = None
            self.stage.clear()

    def end(self):
        """End what is under way; nothing may be out then."""
        self.counting = False
        if self.tidy:
            self.close_all()
        while self.running:
            self.end_owner(failing=False)
        self.close_all()
        self.collect()
        self.everything_agrees()
        assert self.stage.engine.pool.checkedout() == 0

    def close_all(self):
        for pick in range(len(self.sessions)):
            self.close(pick, "close")

    # What is done.

    @initialize(job=st.booleans(), tidy=st.booleans())
    def begin(self, job, tidy):
        """Say who owns the first sessions, and whether they are closed before he ends."""
        self.tidy = tidy
        if job:
            self.begin_owner(final=False)

    @rule(call=calls())
    def do(self, call):
        """Do one thing; it is no step where there is nothing to do it with."""
        operation, *arguments = call
        before = self.stage.done.total()
        getattr(self, operation)(*arguments)
        self.stage.steps += self.stage.done.total() > before

    def open(self, final):
        if self.there_is_room():
            self.open_one(final)

    def open_one(self, final):
        session = self.world.open(final)
        session.handle = Session(self.stage.engine, close_resets_only=not final)
        session.reference = weakref.ref(session.handle)
        self.sessions.append(session)
        self.done("open")

    def add(self, pick, name):
        session = self.a_session(pick)
        item = self.stage.Item(name=name)
        self.both("add", lambda: session.add(name), lambda: session.handle.add(item))

    def add_and_flush(self, pick, name):
        """Both in one step, as chance seldom brings them together."""
        session = self.a_session(pick)
        item = self.stage.Item(name=name)
        if self.both("add", lambda: session.add(name), lambda: session.handle.add(item)):
            self.both("flush", session.flush, session.handle.flush)

    def flush(self, pick):
        session = self.a_session(pick)
        self.both("flush", session.flush, session.handle.flush)

    def query(self, pick):
        session = self.a_session(pick)
        found = []

        def read():
            found.extend(session.handle.scalars(select(self.stage.Item.name)))

        if self.both("query", session.query, read):
            assert sorted(found) == sorted(session.root.work.rows)

    def delete(self, pick, name):
        session = self.a_session(pick)
        self.both(
            "delete",
            lambda: session.delete(name),
            lambda: self.execute(session, DELETE, name=name),
        )

    def insert_orphan(self, pick):
        session = self.a_session(pick)
        self.both(
            "insert_orphan", session.insert_orphan, lambda: self.execute(session, INSERT_ORPHAN)
        )

    def execute_nonsense(self, pick):
        session = self.a_session(pick)
        self.both(
            "execute_nonsense", session.execute_nonsense, lambda: self.execute(session, NONSENSE)
        )

    def begin_savepoint(self, pick):
        session = self.a_session(pick)
        begun = []
        if self.both(
            "begin_savepoint",
            session.begin_savepoint,
            lambda: begun.append(session.handle.begin_nested()),
        ):
            session.root.savepoints[-1].handle = begun.pop()

    def release_savepoint(self, pick, level):
        if not self.with_savepoints():
            return
        session, level, handle = self.a_savepoint(pick, level)
        self.both("release_savepoint", lambda: session.release(level), handle.commit)

    def roll_back_savepoint(self, pick, level):
        if not self.with_savepoints():
            return
        session, level, handle = self.a_savepoint(pick, level)
        self.both("roll_back_savepoint", lambda: session.roll_back_to(level), handle.rollback)

    def commit(self, pick):
        session = self.a_session(pick)
        self.both("commit", session.commit, session.handle.commit)

    def rollback(self, pick):
        session = self.a_session(pick)
        self.both("rollback", session.rollback, session.handle.rollback)

    def close(self, pick, how):
        session = self.a_session(pick)
        self.both(how, lambda: session.close(how), getattr(session.handle, how))

    def drop(self, pick):
        """Let go of a session; in a transaction it stays, as the two refer to each other."""
        if len(self.dropped) >= SESSIONS_AT_ONCE:
            return
        session = self.a_session(pick)
        self.sessions.remove(session)
        session.handle = None
        if session.root is not None:
            for savepoint in session.root.savepoints:
                savepoint.handle = None
            assert session.reference() is not None
        if session.reference() is None:
            session.collect()
            self.done("drop")
        else:
            self.dropped.append(session)
            self.done("drop", "in transaction")

    def collect(self):
        if not self.dropped:
            return
        for session in self.dropped:
            session.collect()
        gc.collect()
        assert [session.reference() for session in self.dropped] == [None] * len(self.dropped)
        self.dropped.clear()
        self.done("collect")

    def begin_owner(self, final):
        """Begin a job, which opens a session."""
        if len(self.running) >= OWNERS_AT_ONCE or not self.there_is_room():
            return
        job = self.watch.owner(self.world.begin_owner().name)
        job.__enter__()
        self.running.append(job)
        self.done("begin_owner")
        self.open_one(final)

    def end_owner(self, failing):
        if not self.running:
            return
        self.world.end_owner(failing)
        error = ValueError() if failing else None
        self.running.pop().__exit__(type(error) if failing else None, error, None)
        self.done("end_owner", "failed" if failing else "well")

    # What must be so after each step.

    @invariant()
    def everything_agrees(self):
        self.agreed = False
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
            route = routes[name]
            assert {
                what: (route[what], book[what]) for what in COUNTED if route[what] != book[what]
            } == {}, name
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

    def there_is_room(self):
        return len(self.sessions) + len(self.dropped) < SESSIONS_AT_ONCE

    def a_session(self, pick):
        """Return one of those that are there, or else a new one."""
        if not self.sessions:
            self.open_one(final=False)
        return self.sessions[pick % len(self.sessions)]

    @staticmethod
    def execute(session, statement, **parameters):
        """Flush first, which SQLAlchemy does before textual SQL from 2.1 on."""
        session.handle.flush()
        session.handle.execute(statement, parameters)

    def with_savepoints(self):
        return [each for each in self.sessions if each.root and each.root.savepoints]

    def a_savepoint(self, pick, level):
        candidates = self.with_savepoints()
        session = candidates[pick % len(candidates)]
        level %= len(session.root.savepoints)
        return session, level, session.root.savepoints[level].handle

    def both(self, operation, foretell, act):
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
        self.done(operation, foretold.__name__ if foretold else "well")
        return foretold is None

    def done(self, operation, how="well"):
        self.stage.done[operation, how] += self.counting


class Stage(SimpleNamespace):
    """What all programs share: the engine, and a look at the database past SQLAlchemy."""

    def read_version(self):
        return self.witness.execute("PRAGMA data_version").fetchone()[0]

    def happened(self):
        return {name: number for name, number in self.tally.counts.items() if name != "writes"}

    def rows(self):
        return {name for (name,) in self.witness.execute("SELECT name FROM item")}

    def clear(self):
        """Leave nothing of a program to the next, whose collections pass by all older objects."""
        close_all_sessions()
        gc.collect()
        gc.freeze()
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
        done=Counter(),
        found=Counter(),
    )


@pytest.fixture
def no_collection_by_chance():
    """The garbage is collected when a program says so."""
    gc.disable()
    gc.freeze()
    yield
    gc.enable()
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("no_collection_by_chance")
@pytest.mark.filterwarnings("ignore:Session's state has been changed on a non-active transaction")
# Hypothesis asks the garbage collector who refers to its random numbers, and is not told of what
# is frozen.
@pytest.mark.filterwarnings("ignore:It looks like `register_random`")
@pytest.mark.parametrize("part", range(PARTS))
def test_model_and_watch_agree_on_every_program(stage, part):
    @seed(SEED * PARTS + part)
    def program():
        return SessionPrograms(stage)

    run_state_machine_as_test(
        program,
        settings=settings(
            max_examples=PROGRAMS // PARTS,
            stateful_step_count=STEPS_OF_A_PROGRAM,
            phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate],
            derandomize=True,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    share = PROGRAMS / PROGRAMS_OF_CI / PARTS
    assert stage.steps >= STEPS_AT_LEAST * share
    happened = stage.done + stage.found
    assert {
        what: (happened[what], number)
        for what, number in OFTEN_ENOUGH.items()
        if happened[what] < number * share
    } == {}
