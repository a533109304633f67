"""Programs in which much time passes, and none of it in a connection that is held idly.

The clock is the test's: a statement takes as long as the SQL function `take_time` says.
"""

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session, sessionmaker

HOUR = 3600.0


@pytest.fixture
def watch(make_watch):
    """A watch by the test's clock."""
    return make_watch()


@pytest.fixture
def engine(make_engine, clock):
    engine = make_engine()

    @event.listens_for(engine, "connect")
    def give_time_to_sql(connection, entry):
        connection.create_function("take_time", 1, clock.advance)

    return engine


LONG = select(func.take_time(HOUR))


def test_long_statement(watch, engine):
    with watch.owner("report"), Session(engine) as session:
        session.execute(LONG)
        session.execute(LONG)


def test_long_write(watch, engine, models, rows):
    with watch.owner("import"), Session(engine) as session, session.begin():
        session.execute(
            models.Item.__table__.insert().from_select(
                ["name"], select(func.coalesce(func.take_time(HOUR), "a"))
            )
        )
    assert rows() == 1


def test_rows_that_take_long_to_come(watch, engine, models):
    """SQLite computes each row when it is fetched: the statement runs on."""
    with Session(engine) as session, session.begin():
        session.add_all(models.Item(name=str(number)) for number in range(10))
    with watch.owner("report"), Session(engine) as session:
        rows = session.execute(select(models.Item.id, func.take_time(HOUR))).all()
        assert len(rows) == 10


def test_many_short_statements_in_a_long_transaction(watch, engine, clock):
    """Old is not idle."""
    with watch.owner("job"), Session(engine) as session:
        for _ in range(60):
            session.execute(select(func.take_time(60)))
            clock.advance(0.001)


def test_time_that_passes_before_the_first_statement(watch, engine, clock):
    with watch.owner("job"), Session(engine) as session:
        clock.advance(HOUR)
        session.execute(select(1))


def test_time_that_passes_when_the_transaction_is_over(watch, engine, clock, models):
    """A call to another service comes when the commit has given the connection back."""
    with watch.owner("job"), Session(engine) as session:
        session.add(models.Item(name="a"))
        session.commit()
        clock.advance(HOUR)
        session.scalars(select(models.Item)).all()
        session.rollback()
        clock.advance(HOUR)


def test_long_statement_of_a_handler(visit, engine):
    """It runs in a thread, and holds up nobody."""
    app = FastAPI()

    @app.get("/report")
    def report():
        with Session(engine) as session:
            session.execute(LONG)
        return {}

    with visit(app) as client:
        assert client.at_once(*[("GET", "/report", None)] * 20) == [200] * 20


def test_slow_handler_beside_a_closed_session(visit, engine, clock):
    app = FastAPI()

    @app.get("/slow")
    def slow():
        with Session(engine) as session:
            session.execute(select(1))
        clock.advance(HOUR)
        return {}

    with visit(app) as client:
        assert client.at_once(*[("GET", "/slow", None)] * 20) == [200] * 20


def test_long_stream_of_quick_sessions(visit, engine, clock):
    app = FastAPI()

    def ticks():
        for _ in range(10):
            clock.advance(HOUR)
            with Session(engine) as session:
                session.execute(select(1))
            yield "tick\n"

    @app.get("/ticks")
    def stream():
        return StreamingResponse(ticks())

    with visit(app) as client:
        assert client.get("/ticks").text == "tick\n" * 10


def test_stream_that_queries_all_the_while(visit, engine):
    app = FastAPI()

    def chunks():
        with Session(engine) as session:
            for _ in range(10):
                session.execute(LONG)
                yield "chunk\n"

    @app.get("/chunks")
    def stream():
        return StreamingResponse(chunks())

    with visit(app) as client:
        assert client.get("/chunks").text == "chunk\n" * 10


def test_idle_pool(watch, engine, clock):
    """Connections that wait in the pool are held by nobody."""
    make_session = sessionmaker(engine)
    for _ in range(3):
        with watch.owner("job"), make_session() as session:
            session.execute(select(1))
        clock.advance(HOUR)


def test_long_statement_of_an_async_dialect(watch, clock, run_async):
    """The event loop goes on with other work while the driver waits."""
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        async with AsyncSession(engine) as session:
            driver = (await (await session.connection()).get_raw_connection()).driver_connection
            await driver.create_function("take_time", 1, clock.advance)
            with watch.owner("report"):
                await session.execute(select(1))
        with watch.owner("report"):
            async with AsyncSession(engine) as session:
                await session.execute(LONG)

    run_async(body, pool_size=1)
