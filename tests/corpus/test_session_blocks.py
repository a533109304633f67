"""The ways of SQLAlchemy's documentation to open, begin, commit and close one session."""

from contextlib import suppress

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, close_all_sessions, sessionmaker


class OutOfStockError(Exception):
    pass


def test_session_and_begin_in_one_block(watch, engine, models, rows):
    with watch.owner("job"), Session(engine) as session, session.begin():
        session.add(models.Item(name="a"))
    assert rows() == 1


def test_begin_of_a_sessionmaker(watch, make_session, models, rows):
    with watch.owner("job"), make_session.begin() as session:
        session.add(models.Item(name="a"))
    assert rows() == 1


def test_commit_as_you_go(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.add(models.Item(name="a"))
        session.commit()
        session.scalars(select(models.Item)).all()
        session.commit()
    assert rows() == 1


def test_begin_once_for_each_unit(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        for name in "abc":
            with session.begin():
                session.add(models.Item(name=name))
    assert rows() == 3


def test_try_except_finally(watch, make_session, models, rows):
    with suppress(OutOfStockError), watch.owner("job"):
        session = make_session()
        try:
            session.add(models.Item(name="a"))
            session.flush()
            raise OutOfStockError
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()
    assert rows() == 0


@pytest.mark.parametrize("block", ["begin", "session.begin"])
def test_block_that_rolls_back_an_error_which_is_handled(watch, make_session, models, rows, block):
    """The error leaves the block, which rolls back; whoever asked is told that nothing was done."""
    with watch.owner("job"):
        try:
            if block == "begin":
                with make_session.begin() as session:
                    session.add(models.Item(name="a"))
                    session.flush()
                    raise OutOfStockError
            else:
                with make_session() as session, session.begin():
                    session.add(models.Item(name="a"))
                    session.flush()
                    raise OutOfStockError
        except OutOfStockError:
            done = False
    assert not done
    assert rows() == 0


def test_rehearsal_that_is_rolled_back(watch, make_session, models, rows):
    with watch.owner("rehearsal"), make_session() as session:
        session.add(models.Item(name="a"))
        session.flush()
        assert session.scalars(select(models.Item)).all()
        session.rollback()
    assert rows() == 0


def test_what_was_never_flushed(watch, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.add(models.Item(name="a"))
        session.expunge_all()
        session.add(models.Item(name="b"))
    assert rows() == 0


@pytest.mark.parametrize("closing", ["close", "reset", "invalidate"])
def test_other_ways_to_close(watch, make_session, models, rows, closing):
    with watch.owner("job"):
        session = make_session()
        session.add(models.Item(name="a"))
        session.commit()
        session.scalars(select(models.Item)).all()
        getattr(session, closing)()
    assert rows() == 1


def test_close_all_sessions(watch, make_session):
    with watch.owner("job"):
        sessions = [make_session() for _ in range(3)]
        for session in sessions:
            session.execute(select(1))
        close_all_sessions()


def test_session_that_is_never_used(watch, make_session):
    with watch.owner("job"), make_session():
        pass


def test_manual_begin(watch, engine, models, rows):
    """Without autobegin, each transaction is begun by name."""
    make_session = sessionmaker(engine, autobegin=False)
    with watch.owner("job"), make_session() as session:
        transaction = session.begin()
        session.add(models.Item(name="a"))
        transaction.commit()
        session.begin()
        session.scalars(select(models.Item)).all()
        session.rollback()
    assert rows() == 1


def test_locks_that_a_close_lets_go(watch, make_session, models):
    with watch.owner("job"), make_session() as session:
        session.scalars(select(models.Item).with_for_update()).all()


def test_session_subclass_with_events(watch, engine, models, rows):
    class AuditedSession(Session):
        def commit(self):
            super().commit()

    with watch.owner("job"), AuditedSession(engine) as session:
        session.add(models.Item(name="a"))
        session.commit()
    assert rows() == 1
