"""A session's record, within its bounds."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sessionwatch import SessionRecord, Settings
from sessionwatch.instruments.sessions import record_of


@pytest.fixture
def session(watch, engine):
    with Session(engine) as session:
        yield session


def test_states(session):
    record = record_of(session)
    assert isinstance(record, SessionRecord)
    assert record.state == "open"
    session.execute(select(1))
    assert record.state == "in transaction"
    assert len(record.connections_out()) == 1
    session.commit()
    assert record.state == "open"
    session.close()
    assert (record.state, record.settled) == ("closed", True)
    assert record.connections_out() == []


def test_transactions_that_are_kept_are_bounded_and_all_are_counted(seen, session, models):
    for number in range(Settings().max_transactions + 20):
        session.add(models.Item(name=str(number)))
        session.commit()
    record = record_of(session)
    assert len(record.written_transactions()) == Settings().max_transactions
    assert record.committed == Settings().max_transactions + 20
    assert seen.counts("committed") == {"committed": Settings().max_transactions + 20}


def test_transactions_that_only_read_are_not_kept(session):
    for _ in range(5):
        session.execute(select(1))
        session.commit()
    assert record_of(session).written_transactions() == []


def test_uncommitted_writes(session, models):
    record = record_of(session)
    assert record.writes_uncommitted == 0
    session.add(models.Item(name="a"))
    session.flush()
    assert record.writes_uncommitted == 1
    session.commit()
    assert record.writes_uncommitted == 0
