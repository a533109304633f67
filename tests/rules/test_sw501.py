"""SW501 pool-exhausted."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

ONE = select(1)


@pytest.fixture
def tiny(make_engine):
    """An engine with two connections and no patience."""
    return make_engine(pool_size=2, max_overflow=0, pool_timeout=0.001)


@pytest.fixture
def exhaust(watch, tiny):
    """Ask for a connection in vain."""

    def exhaust():
        with watch.owner("GET /items"), Session(tiny) as session, pytest.raises(PoolTimeoutError):
            session.execute(ONE)

    return exhaust


def _holders(finding):
    return [
        (holder["state"], holder["count"], holder["holder"].partition(",")[0])
        for holder in finding["details"]["holders"]
    ]


def test_leaked_holders(watch, seen, tiny, exhaust):
    with watch.owner("leaky"):
        leaked = [Session(tiny), Session(tiny)]
        for session in leaked:
            session.execute(ONE)
    exhaust()
    finding = next(each for each in seen.findings if each["code"] == "SW501")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "pool-exhausted",
        "error",
        "proof",
    )
    assert _holders(finding) == [("leaked", 2, "leaky")]
    assert "(2 of 2 in use: 2 leaked)" in finding["message"]
    assert "fix this leak first: 2 connections by leaky, opened at" in finding["message"]
    assert "the pool is undersized" not in finding["message"]
    assert finding["owner"]["name"] == "GET /items"
    assert finding["opened_at"]["function"] == "exhaust"
    assert seen.pool["timeouts"] == 1
    for session in leaked:
        session.close()


def test_twin_returns_its_connections(watch, seen, tiny):
    with watch.owner("tidy"):
        for _ in range(5):
            with Session(tiny) as session:
                session.execute(ONE)
    with watch.owner("GET /items"), Session(tiny) as session:
        session.execute(ONE)
    assert seen.codes == []
    assert seen.pool["timeouts"] == 0


def test_idle_holders(watch, seen, tiny, exhaust):
    with watch.owner("slow"), Session(tiny) as one, Session(tiny) as other:
        one.execute(ONE)
        other.execute(ONE)
        exhaust()
    finding = seen.only_finding("SW501")
    assert _holders(finding) == [("idle", 2, "slow")]
    assert "held without a statement: 2 connections by slow" in finding["message"]
    assert "the pool is undersized" not in finding["message"]


@pytest.fixture
def busy(tiny):
    """Hold a connection of `tiny` with a statement that runs until the test is over."""
    go_on = threading.Event()
    running = threading.Semaphore(0)
    threads = []

    def block():
        running.release()
        go_on.wait(30)

    @event.listens_for(tiny, "connect")
    def add_function(connection, entry):
        connection.create_function("block", 0, block)

    def work(session):
        with session:
            session.execute(text("SELECT block()")).all()

    def busy():
        threads.append(threading.Thread(target=work, args=(Session(tiny),)))
        threads[-1].start()
        assert running.acquire(timeout=10)

    yield busy
    go_on.set()
    for thread in threads:
        thread.join(10)


def test_busy_holders_mean_undersized(seen, exhaust, busy):
    busy()
    busy()
    exhaust()
    finding = seen.only_finding("SW501")
    assert [state for state, *_ in _holders(finding)] == ["busy"]
    assert "all are busy: the pool is undersized" in finding["message"]


def test_busy_and_idle_holders_are_not_undersized(watch, seen, tiny, exhaust, busy):
    busy()
    with watch.owner("slow"), Session(tiny) as session:
        session.execute(ONE)
        exhaust()
    finding = seen.only_finding("SW501")
    assert sorted(state for state, *_ in _holders(finding)) == ["busy", "idle"]
    assert "(2 of 2 in use: 1 idle, 1 busy)" in finding["message"]
    assert "the pool is undersized" not in finding["message"]


def test_holders_are_grouped_by_where_they_were_opened(watch, seen, tiny, exhaust):
    with watch.owner("one"), Session(tiny) as first:
        first.execute(ONE)
        with watch.owner("two"), tiny.connect() as second:
            second.execute(ONE)
            exhaust()
    holders = sorted(_holders(seen.only_finding("SW501")))
    assert holders == [("idle", 1, "one"), ("idle", 1, "two")]


def test_holder_of_the_process(seen, tiny, exhaust):
    with Session(tiny) as one, Session(tiny) as other:
        one.execute(ONE)
        other.execute(ONE)
        exhaust()
    assert {holder for _, _, holder in _holders(seen.only_finding("SW501"))} == {"process"}


def test_holders_that_nobody_saw(make_watch, read, tiny):
    with Session(tiny) as one, Session(tiny) as other:
        one.execute(ONE)
        other.execute(ONE)
        watch = make_watch()
        with watch.owner("job"), Session(tiny) as session, pytest.raises(PoolTimeoutError):
            session.execute(ONE)
    finding = read(watch).only_finding("SW501")
    assert finding["details"]["holders"] == []
    assert "nobody is known to hold one" in finding["message"]


def test_core_checkout_that_waits_in_vain(watch, seen, tiny):
    with watch.owner("job"), tiny.connect(), tiny.connect(), pytest.raises(PoolTimeoutError):
        tiny.connect()
    assert seen.only_finding("SW501")["opened_at"]["function"] == (
        "test_core_checkout_that_waits_in_vain"
    )


def test_wait_is_measured(watch, seen, clock, tiny):
    def slowly(*arguments):
        clock.advance(1.5)
        raise PoolTimeoutError("slowly")

    with tiny.connect(), tiny.connect():
        tiny.pool._do_get = slowly
        with watch.owner("job"), pytest.raises(PoolTimeoutError, match="slowly"):
            tiny.connect()
    finding = seen.only_finding("SW501")
    assert finding["details"]["waited_seconds"] == 1.5
    assert "job waited 1.5 s for a connection in vain" in finding["message"]


def test_every_timeout_counts(seen, tiny, exhaust):
    with tiny.connect(), tiny.connect():
        for _ in range(3):
            exhaust()
    assert seen.codes == ["SW501"] * 3
    assert seen.pool["timeouts"] == 3


def test_async_pool(watch, seen, run_async):
    async def body(engine):
        from sqlalchemy.ext.asyncio import AsyncSession

        with watch.owner("holder"):
            async with AsyncSession(engine) as session:
                await session.execute(ONE)
                with watch.owner("waiter"):
                    async with AsyncSession(engine) as second:
                        with pytest.raises(PoolTimeoutError):
                            await second.execute(ONE)

    run_async(body, pool_size=1, max_overflow=0, pool_timeout=0.001)
    assert _holders(seen.only_finding("SW501")) == [("idle", 1, "holder")]


def test_log_lists_the_holders(watch, tiny, exhaust, log):
    with watch.owner("slow"), Session(tiny) as one, Session(tiny) as other:
        one.execute(ONE)
        other.execute(ONE)
        exhaust()
    (record,) = log.records
    assert "  held by: 2 idle: slow, opened at tests/rules/test_sw501.py" in record.getMessage()


class TestSilent:
    def test_pool_that_is_full_and_has_no_waiter(self, watch, seen, tiny):
        with watch.owner("job"), Session(tiny) as one, Session(tiny) as other:
            one.execute(ONE)
            other.execute(ONE)
        assert seen.codes == []

    def test_connection_that_cannot_be_made(self, watch, seen, make_engine, tmp_path):
        from sqlalchemy.exc import OperationalError

        engine = make_engine(f"sqlite:///{tmp_path}/no/such/folder.db")
        with watch.owner("job"), pytest.raises(OperationalError):
            engine.connect()
        assert seen.codes == []
