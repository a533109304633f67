"""An owner that no rule is asked about is one that no rule has anything to say about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionwatch import Owner, SessionRecord, SessionWatch, Settings
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.stack import NO_STACK
from sessionwatch.records.transaction import Joining, Outcome, TransactionRecord
from sessionwatch.rules.catalog import OWNER_RULES

RESPONSE_NS, END_NS = 100, 200
WATCH = SessionWatch(Settings())


@st.composite
def transactions(draw):
    transaction = TransactionRecord(10)
    transaction.writes = draw(st.integers(0, 2))
    transaction.first_write_ns = draw(st.sampled_from([20, 120])) if transaction.writes else 0
    transaction.outcome = draw(st.sampled_from(list(Outcome)))
    transaction.ended_ns = draw(st.sampled_from([50, 150]))
    transaction.joined = draw(st.sampled_from(list(Joining)))
    transaction.commit_attempted_ns = draw(st.sampled_from([0, 40, 140]))
    transaction.orphaned_writes, transaction.released_writes = draw(
        st.tuples(st.integers(0, 1), st.integers(0, 1))
    )
    for flag in ("dependency_exit", "served", "given_up", "written_while_handling"):
        setattr(transaction, flag, draw(st.booleans()))
    transaction.error = draw(st.sampled_from([None, "IntegrityError"]))
    return transaction


@st.composite
def owners(draw):
    owner = Owner(draw(st.sampled_from(["request", "job"])), "GET /items", WATCH, 0)
    owner.ended_ns = END_NS
    if owner.kind == "request":
        owner.response_started_ns, owner.status = draw(
            st.sampled_from([(RESPONSE_NS, 200), (RESPONSE_NS, 404), (RESPONSE_NS, 500), (0, None)])
        )
        owner.response_completed_ns = owner.response_started_ns
    owner.error = draw(st.sampled_from([None, None, "ValueError"]))
    owner.cancelled = draw(st.sampled_from([False, False, True]))
    for _ in range(draw(st.integers(0, 2))):
        session = SessionRecord(owner, 5, NO_STACK, False, 1)
        session.closed_ns = draw(st.sampled_from([0, 180, 180, 180]))
        session.reclaimed, session.terminated = draw(
            st.sampled_from([(0, 0), (0, 0), (1, 0), (0, 1)])
        )
        session.transactions = draw(st.lists(transactions(), max_size=2)) or None
        session.transaction = draw(st.sampled_from([None, None, TransactionRecord(10)]))
        owner.sessions[session] = None
    if draw(st.sampled_from([False, False, True])):
        pool = PoolRecord(class_name="QueuePool", size=5, max_overflow=10)
        owner.holds[ConnectionHold(owner, pool, lambda: None, 10, NO_STACK)] = None
    return owner


@given(owners())
def test_no_rule_has_anything_to_say(owner):
    if owner.is_uneventful() or owner.saved_at_once():
        assert [each for check in OWNER_RULES.values() for each in check(owner)] == []


def saved_owner(kind="request"):
    owner = Owner(kind, "POST /items", WATCH, 0)
    owner.ended_ns = END_NS
    if kind == "request":
        owner.response_started_ns, owner.status = RESPONSE_NS, 200
    session = SessionRecord(owner, 5, NO_STACK, False, 1)
    session.closed_ns = 180
    transaction = TransactionRecord(10)
    transaction.writes, transaction.first_write_ns, transaction.ended_ns = 1, 20, 50
    transaction.outcome = Outcome.COMMITTED
    session.transactions = [transaction]
    owner.sessions[session] = None
    return owner, session, transaction


@pytest.mark.parametrize("kind", ["request", "job"])
def test_who_committed_once_and_closed_is_not_judged(kind):
    assert saved_owner(kind)[0].saved_at_once()


@pytest.mark.parametrize(
    ("whose", "attribute", "value"),
    [
        ("owner", "status", 404),
        ("owner", "error", "ValueError"),
        ("owner", "cancelled", True),
        ("session", "closed_ns", 0),
        ("session", "reclaimed", 1),
        ("session", "terminated", 1),
        ("session", "transaction", TransactionRecord(60)),
        ("transaction", "outcome", Outcome.ROLLED_BACK),
        ("transaction", "outcome", Outcome.DISCARDED),
        ("transaction", "ended_ns", 150),
        ("transaction", "joined", Joining.SAVEPOINT),
        ("transaction", "orphaned_writes", 1),
    ],
)
def test_whoever_did_anything_else_is_judged(whose, attribute, value):
    parts = dict(zip(("owner", "session", "transaction"), saved_owner(), strict=True))
    setattr(parts[whose], attribute, value)
    assert not parts["owner"].saved_at_once()


def test_two_commits_are_judged():
    owner, session, transaction = saved_owner()
    session.transactions.append(transaction)
    assert not owner.saved_at_once()
