"""`only=[...]` narrows the watch to some session classes, sessionmakers or engines."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sessionwatch import SessionWatch

ONE = select(1)


class OwnSession(Session):
    pass


def _use(make):
    with make() as session:
        session.execute(ONE)


def test_session_class(make_watch, read, engine):
    watch = make_watch(only=[OwnSession])
    _use(lambda: OwnSession(engine))
    _use(lambda: Session(engine))
    assert read(watch).counts("opened", "closed") == {"opened": 1, "closed": 1}


def test_sessionmaker(make_watch, read, engine):
    wanted, other = sessionmaker(engine), sessionmaker(engine)
    watch = make_watch(only=[wanted])
    _use(wanted)
    _use(scoped_session(wanted))
    _use(other)
    assert read(watch).counts("opened") == {"opened": 2}


def test_engine(make_watch, read, make_engine, models):
    engine, other = make_engine(), make_engine()
    watch = make_watch(only=[engine])
    with watch.owner("job"):
        _use(lambda: Session(engine))
        _use(lambda: Session(other))
        with Session(binds={models.Item: engine}) as session:
            session.execute(select(models.Item))
        with engine.connect() as connection:
            _use(lambda: Session(connection))
        with other.connect() as connection:
            _use(lambda: Session(connection))
    assert read(watch).counts("opened", "closed") == {"opened": 3, "closed": 3}


def test_engine_narrows_core_connections_too(make_watch, read, make_engine):
    engine, other = make_engine(), make_engine()
    watch = make_watch(only=[engine])
    with watch.owner("job"):
        with engine.connect() as connection:
            connection.execute(ONE)
        leaked = other.connect()
        leaked.execute(ONE)
    leaked.close()
    assert read(watch).codes == []
    assert read(watch).counts("statements", "checkouts") == {"statements": 1, "checkouts": 1}


def test_engine_and_session_class_together(make_watch, read, make_engine):
    engine, other = make_engine(), make_engine()
    watch = make_watch(only=[engine, OwnSession])
    with watch.owner("job"):
        leaked = [OwnSession(other), Session(other)]
        for session in leaked:
            session.execute(ONE)
    assert read(watch).codes == ["SW101"]
    assert read(watch).counts("opened", "statements", "checkouts") == {
        "opened": 1,
        "statements": 1,
        "checkouts": 1,
    }
    for session in leaked:
        session.close()


def test_engine_narrows_timeouts_too(make_watch, read, make_engine):
    tiny = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.001}
    engine, other = make_engine(**tiny), make_engine(**tiny)
    watch = make_watch(only=[engine])
    for each in (engine, other):
        with each.connect(), pytest.raises(PoolTimeoutError):
            each.connect()
    assert read(watch).codes == ["SW501"]
    assert len(read(watch).snapshot.pools) == 1


def test_session_that_is_not_meant_may_leak(make_watch, read, engine):
    watch = make_watch(only=[OwnSession])
    with watch.owner("job"):
        session = Session(engine)
        session.execute(ONE)
    assert read(watch).codes == []
    assert read(watch).counts("opened", "statements") == {"opened": 0, "statements": 0}
    session.close()


def test_async_engine(make_watch, read, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        watch = make_watch(only=[engine])
        async with AsyncSession(engine) as session:
            await session.execute(ONE)
        return watch

    watch = run_async(body)
    assert read(watch).counts("opened", "closed") == {"opened": 1, "closed": 1}


def test_sync_session_class_of_async_sessions(make_watch, read, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    class OwnAsyncSession(AsyncSession):
        sync_session_class = OwnSession

    async def body(engine):
        watch = make_watch(only=[OwnSession])
        for make in (AsyncSession, OwnAsyncSession):
            async with make(engine) as session:
                await session.execute(ONE)
        return watch

    watch = run_async(body)
    assert read(watch).counts("opened", "closed") == {"opened": 1, "closed": 1}


def test_async_session_class_would_match_nothing_and_is_refused():
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    for wrong in (AsyncSession, async_sessionmaker()):
        with pytest.raises(TypeError, match="for an AsyncSession, give its AsyncEngine"):
            SessionWatch(only=[wrong])


@pytest.mark.parametrize("wrong", ["Session", 3, None, object()])
def test_anything_else_is_refused(wrong):
    with pytest.raises(TypeError, match="only takes"):
        SessionWatch(only=[wrong])
