"""SW102 idle-hold."""

import gc

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from sessionwatch import Settings

ONE = select(1)


@pytest.fixture
def watch(make_watch):
    """A watch on the test's clock that reports what is idle for more than ten seconds."""
    return make_watch(Settings(idle_hold_seconds=10))


def test_idle_in_a_transaction(watch, seen, clock, make_session, log):
    with watch.owner("job"), make_session() as session:
        session.execute(ONE)
        clock.advance(12.4)
        watch.inspect_connections()
        finding = seen.only_finding("SW102")
    assert (finding["severity"], finding["evidence"]) == ("warning", "suspect")
    assert "job holds the connection of the session opened at" in finding["message"]
    assert "for 12.4 s, the last 12.4 s without a statement, in a transaction" in finding["message"]
    assert finding["details"] == {"idle_seconds": 12.4, "held_seconds": 12.4}
    assert finding["opened_at"]["function"] == "test_idle_in_a_transaction"
    assert seen.findings[0]["details"]["resolved"] == 1
    assert seen.findings[0]["details"]["resolution"] == "held 12.4 s, returned"
    assert "resolved: job opened at" in log.records[-1].getMessage()
    assert log.records[-1].getMessage().endswith("held 12.4 s, returned")


def test_twin_gives_it_back_before(watch, seen, clock, make_session):
    with watch.owner("job"), make_session() as session:
        session.execute(ONE)
        session.commit()
        clock.advance(12.4)
        watch.inspect_connections()
    assert seen.codes == []


def test_it_is_used_again(watch, seen, clock, make_session):
    with watch.owner("job"), make_session() as session:
        session.execute(ONE)
        clock.advance(20)
        watch.inspect_connections()
        session.execute(ONE)
        watch.inspect_connections()
        assert seen.findings[0]["details"]["resolution"] == "idle for 20.0 s, in use again"
        clock.advance(20)
        watch.inspect_connections()
    assert seen.codes == ["SW102"] * 2
    assert seen.findings[0]["details"]["resolved"] == 2


def test_a_suspect_counts_once(watch, seen, clock, make_session):
    with watch.owner("job"), make_session() as session:
        session.execute(ONE)
        for _ in range(5):
            clock.advance(20)
            watch.inspect_connections()
    assert seen.codes == ["SW102"]


def test_left_to_the_garbage_collector(watch, seen, clock, make_session):
    session = make_session()
    session.execute(ONE)
    clock.advance(20)
    watch.inspect_connections()
    del session
    gc.collect()
    assert seen.codes == ["SW102", "SW103"]
    assert seen.findings[0]["details"]["resolution"] == "held 20.0 s, left to the garbage collector"


def test_connection_without_a_session(watch, seen, clock, engine):
    with watch.owner("job"), engine.connect():
        clock.advance(20)
        watch.inspect_connections()
    assert "job holds the connection checked out at" in seen.only_finding("SW102")["message"]


def test_async_session(watch, seen, clock, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        with watch.owner("job"):
            async with AsyncSession(engine) as session:
                await session.execute(ONE)
                clock.advance(20)
                watch.inspect_connections()

    run_async(body)
    seen.only_finding("SW102")


class TestSilent:
    def test_slow_statement(self, watch, seen, clock, engine):
        @event.listens_for(engine, "before_cursor_execute")
        def take_long(connection, cursor, statement, *rest):
            clock.advance(60)
            watch.inspect_connections()

        with watch.owner("job"), Session(engine) as session:
            session.execute(text("SELECT 1"))
        assert seen.codes == []

    def test_age_alone(self, watch, seen, clock, make_session):
        with watch.owner("job"), make_session() as session:
            for _ in range(10):
                clock.advance(9)
                session.execute(ONE)
                watch.inspect_connections()
        assert seen.codes == []

    def test_marked_long_lived(self, watch, seen, clock, make_session):
        with make_session(info={"sessionwatch": "long-lived"}) as session:
            session.execute(ONE)
            clock.advance(60)
            watch.inspect_connections()
        assert seen.codes == []

    def test_connection_that_listens_for_the_process(self, watch, seen, clock, engine):
        with engine.connect():
            clock.advance(60)
            watch.inspect_connections()
        assert seen.codes == []

    def test_turned_off(self, make_watch, read, clock, make_session):
        watch = make_watch(Settings(idle_hold_seconds=None))
        with watch.owner("job"), make_session() as session:
            session.execute(ONE)
            clock.advance(60)
            watch.inspect_connections()
        assert read(watch).codes == []
