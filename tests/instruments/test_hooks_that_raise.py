"""Every hook of ours is made to raise in turn; the application must not notice."""

from __future__ import annotations

import gc
import inspect

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from sessionwatch import SessionWatch
from sessionwatch.instruments import holds, sessions, statements

pytestmark = pytest.mark.usefixtures("expects_internal_errors")


def _guarded_hooks():
    """Each hook by its name, with the closure's cell that holds it."""
    for module in (sessions, holds, statements):
        for name, function in vars(module).items():
            if inspect.isfunction(function) and "hook" in function.__code__.co_freevars:
                closure = dict(
                    zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
                )
                if closure["hook"].cell_contents.__module__ == module.__name__:
                    yield name, closure["hook"]


HOOKS = dict(_guarded_hooks())


@pytest.fixture
def broken(hook):
    """Make one hook raise whenever it is called."""
    cell = HOOKS[hook]
    original = cell.cell_contents

    def raises(*arguments):
        raise ZeroDivisionError("ours")

    raises.__name__ = original.__name__
    cell.cell_contents = raises
    yield original.__name__
    cell.cell_contents = original


def everything(engine, models):
    """Do with sessions all that fires a hook, and note what the application sees of it."""
    item = models.Item
    seen = []
    with Session(engine) as session:
        session.add(item(name="a"))
        session.commit()
        with session.begin_nested():
            session.add(item(name="b"))
        session.add(item(name="c"))
        session.flush()
        session.rollback()
        session.add(item(name="a"))
        seen.append(_error(session.flush))
        session.rollback()
        seen.append(_error(lambda: session.execute(text("SELECT nonsense"))))
        seen.append(session.scalar(text("SELECT count(*) FROM item")))
        session.connection().exec_driver_sql("SELECT 1")
    for end in ("reset", "invalidate"):
        with Session(engine) as session:
            session.add(item(name=end))
            session.flush()
            getattr(session, end)()
            seen.append(engine.pool.checkedout())
    with Session(engine) as session:
        seen.append(_refused_close(session))
    session = Session(engine)
    session.add(models.Part(item_id=models.no_such_item))
    seen.append(_error(session.commit))
    seen.append(engine.pool.checkedout())
    seen.append(_error(lambda: Session(engine).execute(text("SELECT 1"))))
    session.close()
    dropped = Session(engine)
    dropped.execute(text("SELECT 1"))
    del dropped
    gc.collect()
    seen.append(engine.pool.checkedout())
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.detach()
    with engine.connect() as connection, Session(connection) as session:
        session.execute(text("SELECT 1"))
    seen.append(engine.pool.checkedout())
    return seen


def _collect_a_session(engine):
    """Leave a session to the collector that belongs to nobody but the process."""
    Session(engine).execute(text("SELECT 1"))
    gc.collect()
    assert engine.pool.checkedout() == 0


def _error(action):
    try:
        action()
    except SQLAlchemyError as error:
        return type(error)
    return None


def _refused_close(session):
    """Close a session in the middle of its commit, which SQLAlchemy refuses."""
    refused = []

    def close(session):
        refused.append(_error(session.close))

    event.listen(session, "before_commit", close)
    session.commit()
    return refused


@pytest.fixture
def tiny_engine(make_engine):
    return make_engine(pool_size=1, max_overflow=0, pool_timeout=0.001)


@pytest.fixture
def expected(make_engine, models, database_path, empty_database):
    """What the application sees when nobody watches."""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.001)
    seen = everything(engine, models)
    engine.dispose()
    database_path.write_bytes(empty_database)
    return seen


def test_the_hooks_were_found():
    assert len(HOOKS) >= 16
    assert {"session_opened", "checked_out", "returned", "statement_ended"} <= set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_that_raises(expected, broken, tiny_engine, models, rows, log, read):
    with SessionWatch() as watch:
        with watch.owner("job"):
            assert everything(tiny_engine, models) == expected
            late = Session(tiny_engine)
        late.close()
        _collect_a_session(tiny_engine)
        errors = read(watch).snapshot.internal_errors
    assert errors["by_hook"].get(broken, 0) > 0
    assert errors["count"] == sum(errors["by_hook"].values())
    logged = [record for record in log.records if f"failed in {broken} " in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info[0] is ZeroDivisionError
    assert rows() == expected[2]
    assert watch.active_owners() == 0


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_that_raises_in_async_code(broken, run_async, models, rows, read):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        async with AsyncSession(engine) as session:
            session.add(models.Item(name="a"))
            await session.commit()
            session.add(models.Item(name="b"))
            await session.flush()
            await session.rollback()
        async with AsyncSession(engine) as session:
            assert await session.scalar(text("SELECT count(*) FROM item")) == 1
        assert engine.pool.checkedout() == 0

    with SessionWatch() as watch:
        run_async(body)
    assert rows() == 1
    assert set(read(watch).snapshot.internal_errors["by_hook"]) <= {broken}


def test_nothing_fails_when_no_hook_is_broken(expected, tiny_engine, models, read):
    with SessionWatch() as watch:
        with watch.owner("job"):
            assert everything(tiny_engine, models) == expected
        assert read(watch).snapshot.internal_errors == {"count": 0, "by_hook": {}}


def test_callback_of_the_collector_that_raises(engine, monkeypatch, read):
    """Python prints what a weak reference's callback raises; ours must not raise at all."""

    def raises(self, record):
        raise ZeroDivisionError("ours")

    with SessionWatch() as watch:
        monkeypatch.setattr(SessionWatch, "session_collected", raises)
        session = Session(engine)
        session.execute(text("SELECT 1"))
        del session
        gc.collect()
        assert engine.pool.checkedout() == 0
        assert read(watch).snapshot.internal_errors["count"] == 1
