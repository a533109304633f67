"""The main patterns on PostgreSQL, by psycopg and asyncpg, where SQLite can't show them."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

ONE = select(1)


class Base(DeclarativeBase):
    pass


class Hero(Base):
    __tablename__ = "hero"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    team_id: Mapped[int | None] = mapped_column(
        ForeignKey("hero.id", deferrable=True, initially="DEFERRED")
    )


def with_driver(url, driver):
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


@pytest.fixture
def engine(postgres_url):
    engine = create_engine(with_driver(postgres_url, "psycopg"))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def make_session(engine):
    return sessionmaker(engine)


@pytest.fixture
def heroes(make_session):
    def count():
        with make_session() as session:
            return session.scalar(select(func.count()).select_from(Hero))

    return count


def test_requests(visit, make_session, before_response, heroes):
    app = FastAPI()

    def get_db():
        with make_session.begin() as db:
            yield db

    Db = Annotated[Any, Depends(get_db, **before_response)]

    @app.post("/heroes/{name}")
    def add(name: str, db: Db):
        db.add(Hero(name=name))
        try:
            with db.begin_nested():
                db.add(Hero(name="everybody's"))
        except IntegrityError:
            db.scalars(select(Hero).where(Hero.name == "everybody's")).one()
        if name.startswith("bad"):
            raise HTTPException(status_code=400)
        return {}

    with visit(app) as client:
        assert client.post("/heroes/first").status_code == 200
        good = [("POST", f"/heroes/good{number}", None) for number in range(15)]
        bad = [("POST", f"/heroes/bad{number}", None) for number in range(5)]
        assert client.at_once(*good, *bad) == [200] * 15 + [400] * 5
    assert heroes() == 17


def test_async_requests(visit, postgres_url, engine, heroes):
    pytest.importorskip("asyncpg")
    from contextlib import asynccontextmanager

    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    async_engine = create_async_engine(with_driver(postgres_url, "asyncpg"))

    @asynccontextmanager
    async def lifespan(app):
        yield
        await async_engine.dispose()

    async def get_db():
        async with AsyncSession(async_engine, expire_on_commit=False) as db:
            yield db

    app = FastAPI(lifespan=lifespan)
    Db = Annotated[Any, Depends(get_db)]

    @app.post("/heroes/{name}")
    async def add(name: str, db: Db):
        db.add(Hero(name=name))
        try:
            await db.commit()
        except IntegrityError:
            await db.rollback()
            raise HTTPException(status_code=409) from None
        return {}

    @app.get("/heroes")
    async def read(db: Db):
        names = select(Hero.name).execution_options(yield_per=3)
        return [name async for name in await db.stream_scalars(names)]

    with visit(app) as client:
        names = [("POST", f"/heroes/{number}", None) for number in range(20)]
        assert client.at_once(*names) == [200] * 20
        assert client.at_once(*names) == [409] * 20
        assert len(client.get("/heroes").json()) == 20
    assert heroes() == 20


def test_failed_statement_without_a_savepoint_then_rollback(watch, make_session, heroes):
    """PostgreSQL refuses everything until the rollback."""
    with watch.owner("job"), make_session() as session:
        session.add_all([Hero(name="a"), Hero(name="a")])
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        session.add(Hero(name="a"))
        session.commit()
    assert heroes() == 1


def test_deferred_constraint_that_the_handler_hears_of(visit, make_session, heroes):
    app = FastAPI()

    def get_db():
        with make_session() as db:
            yield db

    @app.post("/heroes/{name}")
    def add(name: str, db: Annotated[Any, Depends(get_db)]):
        db.add(Hero(name=name, team_id=999))
        db.flush()
        try:
            db.commit()
        except IntegrityError:
            db.rollback()
            raise HTTPException(status_code=409) from None
        return {}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/heroes/{n}", None) for n in range(20)]) == [409] * 20
    assert heroes() == 0


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT id FROM hero FOR UPDATE",
        "LOCK TABLE hero IN EXCLUSIVE MODE",
        "SET LOCAL statement_timeout = '10s'",
        "SELECT set_config('app.user', 'anna', true)",
        "EXPLAIN DELETE FROM hero",
    ],
)
def test_what_ends_with_the_transaction_and_needs_no_commit(watch, make_session, lock):
    with watch.owner("job"), make_session() as session:
        session.execute(text(lock))
        session.scalars(select(Hero)).all()


def test_cursor_on_the_server(watch, make_session):
    with make_session.begin() as session:
        session.add_all(Hero(name=str(number)) for number in range(50))
    with watch.owner("export"), make_session() as session:
        names = select(Hero.name).execution_options(yield_per=7)
        assert len(session.scalars(names).all()) == 50
    with watch.owner("first few"), make_session() as session:
        rows = session.scalars(select(Hero.name).execution_options(stream_results=True))
        assert next(rows)
        rows.close()


def test_autocommit_for_what_can_not_be_in_a_transaction(watch, engine, make_session):
    with watch.owner("maintenance"):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM hero"))
        with make_session() as session:
            session.execute(ONE)


def test_isolation_level_of_one_transaction(watch, make_session, heroes):
    with watch.owner("job"), make_session() as session:
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        session.add(Hero(name="a"))
        session.commit()
    assert heroes() == 1


def test_queue_that_workers_share(watch, make_session, heroes):
    """`SKIP LOCKED` lets each worker take a row of its own."""
    with make_session.begin() as session:
        session.add_all(Hero(name=str(number)) for number in range(5))
    for _ in range(5):
        with watch.owner("poll"), make_session.begin() as session:
            first = select(Hero).with_for_update(skip_locked=True).limit(1)
            session.delete(session.scalars(first).one())
    assert heroes() == 0


def test_session_in_the_outer_transaction_of_a_test(watch, engine, heroes):
    with engine.connect() as connection, connection.begin() as outer:
        options = {"join_transaction_mode": "create_savepoint"}
        with watch.owner("test", kind="test"), Session(connection, **options) as session:
            session.add(Hero(name="a"))
            session.commit()
        outer.rollback()
    assert heroes() == 0


def test_two_phases(watch, engine, heroes):
    with watch.owner("job"), Session(engine, twophase=True) as session:
        session.add(Hero(name="a"))
        session.prepare()
        session.commit()
        session.add(Hero(name="b"))
        session.commit()
    with watch.owner("rehearsal"), Session(engine, twophase=True) as session:
        session.add(Hero(name="c"))
        session.flush()
        session.rollback()
    assert heroes() == 2
