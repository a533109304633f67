"""How transactions end: committed, rolled back, discarded; savepoints apart."""

from __future__ import annotations

import gc

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.orm import Session, sessionmaker

ENDS = ("committed", "savepoints_released", "rolled_back", "discarded")


def _ends(seen):
    return {name: number for name, number in seen.counts(*ENDS).items() if number}


def test_commit(seen, make_session, tally, models, rows):
    with make_session() as session:
        session.add(models.Item(name="a"))
        session.commit()
    assert _ends(seen) == {"committed": 1}
    assert tally["commit"] == rows() == 1


def test_commit_of_a_session_that_did_nothing(seen, make_session):
    with make_session() as session:
        session.commit()
    assert _ends(seen) == {"committed": 1}
    assert seen.counts("checkouts") == {"checkouts": 0}


def test_rollback(seen, make_session, tally, models, rows):
    with make_session() as session:
        session.add(models.Item(name="a"))
        session.flush()
        session.rollback()
    assert _ends(seen) == {"rolled_back": 1}
    assert (tally["rollback"], rows()) == (1, 0)


def test_rollback_with_nothing_begun_is_none(seen, make_session):
    with make_session() as session:
        session.rollback()
    assert _ends(seen) == {}


def test_close_without_commit_discards(seen, make_session, tally, models, rows):
    """SQLAlchemy fires the Engine's rollback for it, and no `after_rollback`."""
    with make_session() as session:
        session.add(models.Item(name="a"))
        session.flush()
    assert _ends(seen) == {"discarded": 1}
    assert (tally["rollback"], rows()) == (1, 0)


def test_close_after_reads_discards_nothing(seen, make_session, models):
    with make_session() as session:
        session.query(models.Item).all()
    assert _ends(seen) == {}


def test_close_with_unflushed_objects_discards_nothing(seen, make_session, models, tally):
    """No write has reached the database."""
    with make_session() as session:
        session.add(models.Item(name="a"))
    assert _ends(seen) == {}
    assert tally["writes"] == 0


@pytest.mark.parametrize("end", ["reset", "invalidate"])
def test_reset_and_invalidate_discard(seen, make_session, models, rows, end):
    session = make_session()
    session.add(models.Item(name="a"))
    session.flush()
    getattr(session, end)()
    assert _ends(seen) == {"discarded": 1}
    assert seen.counts("closed", "checkins") == {"closed": 1, "checkins": 1}
    assert rows() == 0


def test_savepoint_release_is_no_root_commit(seen, savepoint_engine, make_tally, models, rows):
    """`after_commit` fires for both; the Engine's `commit` for one of them."""
    tally = make_tally(savepoint_engine)
    with Session(savepoint_engine) as session:
        with session.begin_nested():
            session.add(models.Item(name="a"))
        with session.begin_nested(), session.begin_nested():
            session.add(models.Item(name="b"))
        session.commit()
    assert _ends(seen) == {"committed": 1, "savepoints_released": 3}
    assert (tally["commit"], tally["release_savepoint"], rows()) == (1, 3, 2)


def test_savepoint_rollback_is_no_root_rollback(seen, savepoint_engine, make_tally, models, rows):
    tally = make_tally(savepoint_engine)
    with Session(savepoint_engine) as session:
        savepoint = session.begin_nested()
        session.add(models.Item(name="a"))
        session.flush()
        savepoint.rollback()
        session.commit()
    assert _ends(seen) == {"committed": 1}
    assert (tally["rollback_savepoint"], tally["rollback"], rows()) == (1, 0, 0)


def test_write_that_a_savepoint_took_back_is_not_discarded(seen, savepoint_engine, models):
    with Session(savepoint_engine) as session:
        savepoint = session.begin_nested()
        session.add(models.Item(name="a"))
        session.flush()
        savepoint.rollback()
    assert _ends(seen) == {}


def test_savepoint_release_and_then_close_discards(seen, savepoint_engine, models, rows):
    with Session(savepoint_engine) as session, session.begin_nested():
        session.add(models.Item(name="a"))
    assert _ends(seen) == {"savepoints_released": 1, "discarded": 1}
    assert rows() == 0


def test_close_with_a_savepoint_open_discards_what_it_holds(seen, savepoint_engine, models, rows):
    with Session(savepoint_engine) as session:
        session.begin_nested()
        session.add(models.Item(name="a"))
        session.flush()
    assert _ends(seen) == {"discarded": 1}
    assert rows() == 0


def test_rollback_with_a_savepoint_open_is_one_rollback(seen, savepoint_engine, models):
    with Session(savepoint_engine) as session:
        session.add(models.Item(name="a"))
        session.flush()
        session.begin_nested()
        session.rollback()
        session.rollback()
    assert _ends(seen) == {"rolled_back": 1}


def test_failed_flush_in_a_savepoint(seen, savepoint_engine, models, rows):
    def add_again(session):
        with session.begin_nested():
            session.add(models.Item(name="a"))

    with Session(savepoint_engine) as session:
        session.add(models.Item(name="a"))
        session.flush()
        with pytest.raises(IntegrityError):
            add_again(session)
        session.commit()
    assert _ends(seen) == {"committed": 1}
    assert rows() == 1


def test_failed_flush_takes_the_savepoint_back_at_once(seen, savepoint_engine, models):
    """What the garbage collector takes after that holds no write any more."""
    session = Session(savepoint_engine)
    session.begin_nested()
    _fail_a_flush(session, models)
    del session
    gc.collect()
    assert seen.counts("collected", "discarded") == {"collected": 1, "discarded": 0}


def _fail_a_flush(session, models):
    session.add(models.Item(name="a"))
    session.flush()
    session.add(models.Item(name="a"))
    with pytest.raises(IntegrityError):
        session.flush()


def test_failed_flush_with_rollback_after(seen, make_session, models, rows):
    """`after_rollback` fires at the flush; the explicit rollback is what counts."""
    with make_session() as session:
        _fail_a_flush(session, models)
        assert seen.pool["checked_out"] == 1
        session.rollback()
        assert seen.pool["checked_out"] == 0
    assert _ends(seen) == {"rolled_back": 1}
    assert rows() == 0


def test_failed_flush_without_rollback_after(seen, make_session, models, rows):
    with make_session() as session:
        _fail_a_flush(session, models)
        with pytest.raises(PendingRollbackError):
            session.execute(text("SELECT 1"))
    assert _ends(seen) == {"discarded": 1}
    assert seen.counts("checkouts", "checkins") == {"checkouts": 1, "checkins": 1}
    assert rows() == 0


def test_failed_flush_that_wrote_nothing_before_discards_nothing(seen, make_session, models):
    with make_session.begin() as session:
        session.add(models.Item(name="a"))
    with make_session() as session:
        session.add(models.Item(name="a"))
        with pytest.raises(IntegrityError):
            session.flush()
    assert _ends(seen) == {"committed": 1}


def test_failed_flush_inside_commit(seen, make_session, models, rows):
    with make_session() as session:
        _fail_a_flush(session, models)
        session.rollback()
        session.add_all([models.Item(name="b"), models.Item(name="b")])
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
    assert _ends(seen) == {"rolled_back": 2}
    assert rows() == 0


def _fail_a_commit(session, models):
    session.add(models.Part(item_id=models.no_such_item))
    session.flush()
    with pytest.raises(IntegrityError):
        session.commit()


def test_failed_commit_and_close(seen, make_session, tally, models, rows):
    """The Engine's `commit` event fires before the COMMIT that fails."""
    session = make_session()
    _fail_a_commit(session, models)
    assert tally["commit"] == 1
    assert seen.pool["checked_out"] == 1
    session.close()
    assert _ends(seen) == {"discarded": 1}
    assert seen.pool["checked_out"] == rows("part") == 0


def test_failed_commit_and_rollback(seen, make_session, models, rows):
    with make_session() as session:
        _fail_a_commit(session, models)
        session.rollback()
    assert _ends(seen) == {"rolled_back": 1}
    assert rows("part") == 0


def test_failed_commit_of_a_begin_block(seen, make_session, models, rows):
    with pytest.raises(IntegrityError), make_session.begin() as session:
        session.add(models.Part(item_id=models.no_such_item))
    assert _ends(seen) == {"rolled_back": 1}
    assert seen.counts("opened", "closed", "checkins") == {"opened": 1, "closed": 1, "checkins": 1}
    assert rows("part") == 0


def test_several_transactions_of_one_session(seen, make_session, tally, models, rows):
    with make_session() as session:
        for number in range(5):
            session.add(models.Item(name=str(number)))
            session.commit()
        session.add(models.Item(name="rolled back"))
        session.flush()
        session.rollback()
        session.add(models.Item(name="discarded"))
        session.flush()
    assert _ends(seen) == {"committed": 5, "rolled_back": 1, "discarded": 1}
    assert (tally["commit"], tally["rollback"], rows()) == (5, 2, 5)


AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
AUTOCOMMIT_SESSIONS = {
    "create_engine": lambda make_engine: Session(make_engine(**AUTOCOMMIT)),
    "engine option": lambda make_engine: Session(make_engine(execution_options=AUTOCOMMIT)),
    "engine copy": lambda make_engine: Session(make_engine().execution_options(**AUTOCOMMIT)),
    "sessionmaker": lambda make_engine: sessionmaker(
        make_engine().execution_options(**AUTOCOMMIT)
    )(),
    "connection option": lambda make_engine: _with_connection_option(Session(make_engine())),
}


def _with_connection_option(session):
    session.connection(execution_options=AUTOCOMMIT)
    return session


@pytest.mark.parametrize("make", AUTOCOMMIT_SESSIONS.values(), ids=AUTOCOMMIT_SESSIONS)
def test_autocommit_discards_nothing(watch, seen, make_engine, models, rows, make):
    with watch.owner("job"), make(make_engine) as session:
        session.add(models.Item(name="a"))
        session.flush()
    assert _ends(seen) == {}
    assert seen.counts("writes") == {"writes": 1}
    assert seen.codes == []
    assert rows() == 1


def test_transaction_is_not_autocommit_because_an_earlier_one_was(seen, make_engine, models, rows):
    engine = make_engine()
    with Session(engine) as session:
        _with_connection_option(session)
        session.add(models.Item(name="a"))
        session.commit()
        session.add(models.Item(name="b"))
        session.flush()
    assert seen.counts("discarded") == {"discarded": 1}
    assert rows() == 1
