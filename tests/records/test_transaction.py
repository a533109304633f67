"""Root transactions, and the savepoints inside them."""

from __future__ import annotations

import pytest

from sessionwatch.records.transaction import Outcome, TransactionRecord


@pytest.fixture
def transaction():
    return TransactionRecord(began_ns=1)


def test_savepoint_that_is_rolled_back_takes_its_writes_back(transaction):
    transaction.writes = 2
    transaction.begin_savepoint()
    transaction.writes += 3
    transaction.end_savepoint()
    assert transaction.writes == 2


def test_savepoint_that_is_released_keeps_its_writes(transaction):
    transaction.begin_savepoint()
    transaction.writes += 3
    transaction.release_savepoint()
    transaction.end_savepoint()
    assert transaction.writes == 3


def test_outer_savepoint_takes_back_what_an_inner_one_kept(transaction):
    transaction.begin_savepoint()
    transaction.begin_savepoint()
    transaction.writes += 1
    transaction.release_savepoint()
    transaction.end_savepoint()
    transaction.end_savepoint()
    assert transaction.writes == 0


def test_end_of_a_savepoint_that_nobody_began(transaction):
    transaction.release_savepoint()
    transaction.end_savepoint()
    assert transaction.writes == 0


@pytest.mark.parametrize(
    ("outcome", "saved", "dropped"),
    [
        (Outcome.OPEN, False, False),
        (Outcome.COMMITTED, True, False),
        (Outcome.ROLLED_BACK, False, True),
        (Outcome.DISCARDED, False, True),
    ],
)
def test_fate_of_writes(transaction, outcome, saved, dropped):
    transaction.outcome = outcome
    assert not transaction.saved_writes
    assert not transaction.dropped_writes
    transaction.writes = 1
    assert (transaction.saved_writes, transaction.dropped_writes) == (saved, dropped)


def test_commit_that_did_not_come_through(transaction):
    assert not transaction.commit_failed
    transaction.commit_attempted_ns = 2
    transaction.outcome = Outcome.ROLLED_BACK
    assert transaction.commit_failed
    transaction.outcome = Outcome.COMMITTED
    assert not transaction.commit_failed
