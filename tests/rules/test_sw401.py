"""SW401 concurrent-use."""

import asyncio
import threading

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

ONE = select(1)


@pytest.fixture
def blocking(make_engine):
    """An engine whose SELECT block() lasts until `go_on` is set; `running` tells that it runs."""
    engine = make_engine()
    running, go_on = threading.Event(), threading.Event()

    def block():
        running.set()
        go_on.wait(10)

    @event.listens_for(engine, "connect")
    def add_function(connection, entry):
        connection.create_function("block", 0, block)

    return engine, running, go_on


def test_two_threads(watch, seen, blocking):
    engine, running, go_on = blocking

    def work():
        with watch.owner("job"), Session(engine) as session:
            sessions.append(session)
            session.execute(text("SELECT block()")).all()

    sessions = []
    thread = threading.Thread(target=work)
    thread.start()
    assert running.wait(10)
    release = threading.Timer(0.05, go_on.set)
    release.start()
    sessions[0].execute(ONE).all()  # waits for the driver's lock, with the first still under way
    thread.join(10)
    release.join()
    finding = seen.only_finding("SW401")
    assert (finding["severity"], finding["evidence"]) == ("error", "proof")
    assert "job used the session opened at" in finding["message"]
    assert "in test_two_threads" in finding["message"]
    assert finding["opened_at"]["function"] == "work"


def test_twin_threads_with_sessions_of_their_own(watch, seen, blocking):
    engine, running, go_on = blocking

    def work():
        with watch.owner("job"), Session(engine) as session:
            session.execute(text("SELECT block()")).all()

    thread = threading.Thread(target=work)
    thread.start()
    assert running.wait(10)
    with Session(engine) as session:
        session.execute(ONE).all()
    go_on.set()
    thread.join(10)
    assert seen.codes == []


def test_two_tasks_while_the_connection_is_fetched(watch, seen, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                both = [session.execute(ONE) for _ in range(2)]
                results = await asyncio.gather(*both, return_exceptions=True)
        assert any(isinstance(each, Exception) for each in results)

    run_async(body)
    seen.only_finding("SW401")


def test_two_tasks_that_both_have_the_connection(watch, seen, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                await session.execute(ONE)
                both = [session.execute(ONE) for _ in range(2)]
                await asyncio.gather(*both, return_exceptions=True)

    run_async(body)
    seen.only_finding("SW401")


def test_closed_in_the_midst_of_a_statement(watch, seen, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        with watch.owner("job"):
            session = AsyncSession(engine)
            await session.execute(ONE)
            running = asyncio.create_task(session.execute(ONE))
            await asyncio.sleep(0)
            await asyncio.gather(running, session.close(), return_exceptions=True)
            await session.close()

    run_async(body)
    seen.only_finding("SW401")


def test_twin_tasks_with_sessions_of_their_own(watch, seen, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        async def work():
            async with AsyncSession(engine) as session:
                await session.execute(ONE)

        with watch.owner("job"):
            await asyncio.gather(*(work() for _ in range(3)))

    run_async(body)
    assert seen.codes == []


class TestSilent:
    def test_one_thread_after_the_other(self, watch, seen, make_session):
        with watch.owner("job"):
            session = make_session()
            for use in (session.execute, session.scalar):
                thread = threading.Thread(target=use, args=(ONE,))
                thread.start()
                thread.join(10)
            session.close()
        assert seen.codes == []

    def test_statement_from_within_a_statement(self, watch, seen, engine):
        """An event handler that asks the database is no second task."""

        @event.listens_for(engine, "before_cursor_execute")
        def ask(connection, cursor, statement, *rest):
            if "2" not in statement:
                connection.exec_driver_sql("SELECT 2")

        with watch.owner("job"), Session(engine) as session:
            session.execute(ONE)
        assert seen.codes == []

    def test_one_task_after_the_other(self, watch, seen, run_async):
        from sqlalchemy.ext.asyncio import AsyncSession

        async def body(engine):
            with watch.owner("job"):
                async with AsyncSession(engine) as session:
                    for _ in range(3):
                        await asyncio.create_task(session.execute(ONE))

        run_async(body)
        assert seen.codes == []
