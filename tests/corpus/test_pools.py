"""Every pool: none, static, a connection for each thread, a queue that has to be waited for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool, SingletonThreadPool, StaticPool


@pytest.fixture
def work(watch, models):
    """A job that writes, one that reads, and one that fails and rolls back."""

    def work(engine, rows=2):
        for number in range(rows):
            with watch.owner("write"), Session(engine) as session, session.begin():
                session.add(models.Item(name=str(number)))
        with watch.owner("read"), Session(engine) as session:
            count = select(func.count()).select_from(models.Item)
            assert session.scalar(count) == rows
        make_session = sessionmaker(engine)
        with suppress(ValueError), watch.owner("fail"), make_session.begin() as session:
            session.add(models.Item(name="lost"))
            session.flush()
            raise ValueError("no")

    return work


@pytest.mark.parametrize("pool", [NullPool, SingletonThreadPool])
def test_pools_on_a_file(make_engine, work, pool):
    work(make_engine(poolclass=pool))


@pytest.mark.parametrize("pool", [StaticPool, SingletonThreadPool])
def test_pools_in_memory(work, models, pool):
    engine = create_engine("sqlite://", poolclass=pool)
    models.Base.metadata.create_all(engine)
    work(engine)
    engine.dispose()


def test_pool_without_bounds(make_engine, work):
    work(make_engine(pool_size=0))


def test_pool_that_asks_before_it_lends(make_engine, work):
    work(make_engine(pool_pre_ping=True, pool_recycle=0, pool_use_lifo=True))


def test_engine_that_is_disposed_of_and_used_again(make_engine, work, models):
    engine = make_engine()
    work(engine)
    engine.dispose()
    with Session(engine) as session:
        assert session.scalars(select(models.Item)).all()


def test_connection_that_is_invalidated(watch, engine, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.connection().invalidate()
        session.rollback()
        session.add(models.Item(name="a"))
        session.commit()
    assert rows() == 1


def test_connection_that_is_detached(watch, engine, make_session):
    with watch.owner("job"):
        with engine.connect() as connection:
            connection.detach()
            connection.execute(select(1))
        with make_session() as session:
            session.execute(select(1))


@pytest.fixture
def small_engine(make_engine):
    return make_engine(pool_size=2, max_overflow=0, pool_timeout=30)


def test_requests_that_wait_for_a_small_pool(visit, small_engine, models, rows):
    """Forty threads share two connections; each waits a little, and gets one."""
    make_session = sessionmaker(small_engine)
    app = FastAPI()

    @app.post("/items/{name}")
    def add(name: str):
        with make_session.begin() as db:
            db.add(models.Item(name=name))
        return {"name": name}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{n}", None) for n in range(30)]) == [200] * 30
    assert rows() == 30


def test_thread_that_waits_until_another_is_done(watch, make_engine, models):
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=30)
    holding, waiting = threading.Event(), threading.Event()

    def hold():
        with watch.owner("holder"), Session(engine) as session:
            session.execute(select(1))
            holding.set()
            waiting.wait(10)

    def wait():
        with watch.owner("waiter"), Session(engine) as session:
            holding.wait(10)
            waiting.set()
            session.execute(select(1))

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(hold), pool.submit(wait)]:
            future.result(timeout=30)


def test_two_connections_of_one_owner_one_after_the_other(watch, make_engine):
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=1)
    with watch.owner("job"):
        for _ in range(3):
            with Session(engine) as session:
                session.execute(select(1))


def test_two_sessions_open_but_one_connection(watch, make_engine, models):
    """The first has ended its transaction, so that it holds nothing while the second works."""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=1)
    with watch.owner("job"), Session(engine) as first, Session(engine) as second:
        first.scalars(select(models.Item)).all()
        first.commit()
        second.scalars(select(models.Item)).all()
        second.rollback()
        first.scalars(select(models.Item)).all()
