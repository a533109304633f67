"""SW204 failed-without-rollback."""

from contextlib import suppress

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError
from sqlalchemy.orm import Session


@pytest.fixture
def fail(models):
    """Have a flush fail, and catch the error."""

    def fail(session):
        session.add_all([models.Item(name="a"), models.Item(name="a")])
        with pytest.raises(IntegrityError):
            session.flush()

    return fail


@pytest.mark.parametrize("use", ["query", "flush", "commit"])
def test_used_after_a_failed_flush(watch, seen, make_session, models, fail, use):
    def use_it(session):
        if use == "query":
            session.scalars(select(models.Item)).all()
        elif use == "flush":
            session.add(models.Item(name="b"))
            session.flush()
        else:
            session.commit()

    with watch.owner("job"), make_session() as session:
        fail(session)
        with pytest.raises(PendingRollbackError):
            use_it(session)
    finding = seen.only_finding("SW204")
    assert (finding["severity"], finding["evidence"]) == ("error", "proof")
    assert "job went on at" in finding["message"]
    assert "in use_it with a session" in finding["message"]
    assert "had failed with IntegrityError at" in finding["message"]
    assert finding["opened_at"]["function"] == "test_used_after_a_failed_flush"


def test_twin_rolls_back(watch, seen, make_session, models, fail):
    with watch.owner("job"), make_session() as session:
        fail(session)
        session.rollback()
        assert session.scalars(select(models.Item)).all() == []
    assert seen.codes == []


def test_twin_with_a_savepoint(watch, seen, savepoint_engine, models, fail, rows):
    with watch.owner("job"), Session(savepoint_engine) as session:
        for _ in range(2):
            with suppress(IntegrityError), session.begin_nested():
                session.add(models.Item(name="a"))
        session.commit()
    assert seen.codes == []
    assert rows() == 1


class TestSilent:
    def test_failure_that_is_only_closed(self, watch, seen, make_session, fail):
        with watch.owner("job"), make_session() as session:
            fail(session)
            session.close()
        assert "SW204" not in seen.codes

    def test_statement_that_sqlite_goes_on_after(self, watch, seen, make_session):
        """A failed statement breaks no transaction of SQLite's."""
        with watch.owner("job"), make_session() as session:
            with pytest.raises(OperationalError):
                session.execute(text("SELECT * FROM nowhere"))
            session.execute(select(1))
        assert seen.codes == []


def test_async_session(watch, seen, run_async, models):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                session.add_all([models.Item(name="a"), models.Item(name="a")])
                with pytest.raises(IntegrityError):
                    await session.flush()
                with pytest.raises(PendingRollbackError):
                    await session.execute(select(1))

    run_async(body)
    seen.only_finding("SW204")
