"""Sessions that do this and that, held against a tally kept beside them and the database itself."""

from __future__ import annotations

import gc
import random
from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

COUNTED = (
    "opened",
    "closed",
    "collected",
    "committed",
    "savepoints_released",
    "rolled_back",
    "discarded",
    "writes",
)


class Worker:
    """Works at random with one session at a time, and keeps its own books."""

    def __init__(self, engine, models, seed):
        self.engine = engine
        self.models = models
        self.random = random.Random(seed)
        self.books = Counter()
        self.rows = 0
        self.names = 0
        self.session = None
        self.uncommitted = 0
        self.began = False

    def work(self, steps):
        actions = [self.add, self.add, self.add_in_savepoint, self.fail_in_savepoint]
        actions += [self.read, self.commit, self.rollback, self.fail_a_flush, self.end, self.drop]
        for _ in range(steps):
            if self.session is None:
                self.session = Session(self.engine)
                self.books["opened"] += 1
                self.began = False
            self.random.choice(actions)()
        if self.session is not None:
            self.end()

    def _add(self):
        self.names += 1
        self.session.add(self.models.Item(name=f"item {self.names}"))
        self.session.flush()
        self.books["writes"] += 1
        self.uncommitted += 1
        self.began = True

    def add(self):
        self._add()

    def add_in_savepoint(self):
        with self.session.begin_nested():
            self._add()
        self.books["savepoints_released"] += 1

    def fail_in_savepoint(self):
        before = self.uncommitted
        savepoint = self.session.begin_nested()
        self._add()
        savepoint.rollback()
        self.uncommitted = before

    def read(self):
        self.session.execute(text("SELECT count(*) FROM item"))
        self.began = True

    def commit(self):
        self.session.commit()
        self.books["committed"] += 1
        self.rows += self.uncommitted
        self._nothing_is_open()

    def rollback(self):
        self.books["rolled_back"] += self.began
        self.session.rollback()
        self._nothing_is_open()

    def fail_a_flush(self):
        self._add()
        self.session.add(self.models.Item(name=f"item {self.names}"))
        with pytest.raises(IntegrityError):
            self.session.flush()
        if self.random.random() < 0.5:
            self.rollback()
        else:
            self.end()

    def end(self):
        way = self.random.choice(["close", "close", "reset", "invalidate"])
        getattr(self.session, way)()
        self.books["closed"] += 1
        self._is_over()

    def drop(self):
        self.books["collected"] += 1
        self._is_over()
        gc.collect()

    def _is_over(self):
        self.books["discarded"] += self.uncommitted > 0
        self.session = None
        self._nothing_is_open()

    def _nothing_is_open(self):
        self.uncommitted = 0
        self.began = False


@pytest.mark.parametrize("inside", ["process", "job"])
@pytest.mark.parametrize("seed", range(12))
def test_books_agree(watch, seen, savepoint_engine, make_tally, models, rows, seed, inside):
    tally = make_tally(savepoint_engine)
    worker = Worker(savepoint_engine, models, seed)
    if inside == "job":
        with watch.owner("job"):
            worker.work(60)
    else:
        worker.work(60)
    books = {name: worker.books[name] for name in COUNTED}
    assert seen.counts(*COUNTED) == books
    assert seen.counts("open") == {"open": 0}
    assert rows() == worker.rows
    assert seen.counts("checkouts", "checkins") == {
        "checkouts": tally["checkouts"],
        "checkins": tally["checkins"],
    }
    assert seen.counts("savepoints_released") == {"savepoints_released": tally["release_savepoint"]}
    assert seen.pool["checked_out"] == 0
