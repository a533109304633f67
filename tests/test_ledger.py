"""What is kept of the past: bounded, counted together, the worst kept."""

from __future__ import annotations

import gc
import threading

import pytest
from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from sessionwatch import Settings

ONE = select(1)


@pytest.fixture
def leak(watch, make_session):
    """Leak a session in an owner of some name; all are closed after the test."""
    leaked = []

    def leak(name="job", watch=watch):
        with watch.owner(name):
            session = make_session()
            session.execute(ONE)
        leaked.append(session)
        return session

    yield leak
    for session in leaked:
        session.close()


def test_same_finding_is_counted_and_not_repeated(seen, clock, leak):
    for _ in range(3):
        leak().close()
        clock.advance(60)
    finding = seen.findings[0]
    assert (len(seen.findings), finding["count"]) == (1, 3)
    assert (finding["first_seen"], finding["last_seen"]) == (
        "1970-01-01T00:16:40.000+00:00",
        "1970-01-01T00:18:40.000+00:00",
    )


def test_other_owner_or_other_place_is_another_finding(watch, seen, make_session, leak):
    leak("one").close()
    leak("two").close()
    with watch.owner("one"):
        session = make_session()
        session.execute(ONE)
    session.close()
    assert [finding["owner"]["name"] for finding in seen.findings] == ["one", "two", "one"]
    assert seen.codes == ["SW101"] * 3


def test_leak_that_comes_back_says_so(seen, leak):
    session = leak()
    assert "returned_later" not in seen.findings[0]["details"]
    session.close()
    assert seen.findings[0]["details"]["returned_later"] == 1
    session.close()
    assert seen.findings[0]["details"]["returned_later"] == 1


def test_leak_that_came_back_and_is_out_once_more_says_so(seen, leak):
    session = leak()
    for _ in range(2):
        session.close()
        assert seen.findings[0]["details"]["returned_later"] == 1
        session.execute(ONE)
        assert "returned_later" not in seen.findings[0]["details"]
    assert seen.codes == ["SW101"]
    session.close()
    assert seen.findings[0]["details"]["returned_later"] == 1


def _half_committed(watch, make_session, clock, models, name, worse):
    """A partial commit: an error when later writes were lost, else a suspicion."""
    with watch.owner("POST /orders", kind="request") as owner:
        owner.status, owner.response_started_ns = 400, clock()
        with make_session() as session:
            session.add(models.Item(name=name))
            session.commit()
            clock.advance()
            if worse:
                session.add(models.Item(name="more"))
                session.flush()
                session.rollback()


@pytest.mark.parametrize("order", [(False, True), (True, False), (False, True, False)])
def test_worse_finding_is_not_hidden_by_a_lesser_one(
    watch, seen, make_session, clock, models, log, order
):
    for number, worse in enumerate(order):
        _half_committed(watch, make_session, clock, models, str(number), worse)
    assert {finding["code"] for finding in seen.findings} == {"SW202"}
    assert ("error", "lost work") in {
        (finding["severity"], finding["evidence"]) for finding in seen.findings
    }
    assert "ERROR" in {record.levelname for record in log.records}
    assert seen.codes == ["SW202"] * len(order)


def test_findings_are_bounded(make_watch, read, leak):
    watch = make_watch(Settings(max_findings=3))
    for number in range(10):
        leak(f"job {number}", watch).close()
    assert len(read(watch).findings) == 3
    leak("job 0", watch).close()
    assert read(watch).findings[0]["count"] == 2


def test_routes_are_bounded_and_nothing_is_lost(make_watch, read, make_session):
    watch = make_watch(Settings(max_routes=3))
    for number in range(10):
        with watch.owner(f"job {number}"), make_session():
            pass
    routes = read(watch).snapshot.routes
    assert list(routes) == ["job 0", "job 1", "job 2", "(other)"]
    assert routes["(other)"].owners == routes["(other)"].counts.opened == 7
    assert read(watch).totals["opened"] == 10


def test_late_return_of_a_session_counts_for_its_route_or_the_others(
    make_watch, read, make_session
):
    watch = make_watch(Settings(max_routes=1))
    sessions = []
    for number in range(3):
        with watch.owner(f"job {number}"):
            sessions.append(make_session())
    assert read(watch).counts() == {"opened": 3, "open": 3}
    for session in sessions:
        session.close()
    assert read(watch).counts() == {"opened": 3, "closed": 3}


def test_open_sessions_are_bounded(make_watch, read, make_engine):
    watch = make_watch(Settings(max_open_sessions=5))
    engine = make_engine()
    sessions = []
    for _ in range(20):
        with watch.owner("job"):
            sessions.append(Session(engine))
    assert len(read(watch).snapshot.open_sessions) == 5
    for session in sessions:
        session.close()
    assert read(watch).counts("opened", "closed", "open") == {"opened": 20, "closed": 20, "open": 0}


def test_open_sessions_are_shown_oldest_first(watch, seen, clock, make_session):
    sessions = []
    for name in ("first", "second"):
        with watch.owner(name):
            sessions.append(make_session())
        clock.advance(1)
    sessions.append(make_session())
    shown = [session["owner"]["name"] for session in seen.snapshot.open_sessions]
    assert shown == ["first", "second", "process"]
    for session in sessions:
        session.close()
    assert seen.snapshot.open_sessions == []


def test_open_session_is_described(watch, seen, clock, make_session, models):
    session = make_session()
    clock.advance(2)
    (shown,) = seen.snapshot.open_sessions
    assert (shown["state"], shown["age_seconds"], shown["idle_seconds"]) == ("open", 2, 2)
    assert (shown["connections_out"], shown["last_statement"]) == (0, None)
    session.add(models.Item(name="a"))
    session.flush()
    clock.advance(3)
    (shown,) = seen.snapshot.open_sessions
    assert (shown["state"], shown["age_seconds"], shown["idle_seconds"]) == ("in transaction", 5, 3)
    assert (shown["connections_out"], shown["uncommitted_writes"]) == (1, 1)
    assert shown["last_statement"] == "INSERT INTO item (name) VALUES (?)"
    assert (shown["owner"]["kind"], shown["owner_ended"]) == ("process", False)
    session.commit()
    (shown,) = seen.snapshot.open_sessions
    assert (shown["state"], shown["uncommitted_writes"]) == ("open", 0)
    session.close()


def test_open_session_is_busy_while_a_statement_runs(seen, clock, engine):
    from sqlalchemy import event, text

    shown = []

    def look():
        clock.advance(4)
        shown.extend(seen.snapshot.open_sessions)

    @event.listens_for(engine, "connect")
    def add_function(connection, entry):
        connection.create_function("look", 0, look)

    with Session(engine) as session:
        clock.advance(1)
        session.execute(text("SELECT look()")).all()
    assert [(each["state"], each["idle_seconds"]) for each in shown] == [("busy", 0)]


def test_last_statement_is_cut(make_watch, read, make_session):
    watch = make_watch(Settings(statement_length=10))
    with make_session() as session:
        session.execute(select(literal(12345).label("a_long_name")))
        (shown,) = read(watch).snapshot.open_sessions
    assert len(shown["last_statement"]) == 11
    assert shown["last_statement"].endswith("…")


def test_finalizer_that_closes_a_session_while_the_ledger_is_busy(watch, seen, make_session):
    """The garbage collector may run anywhere, and an application's `__del__` with it."""

    class Repository:
        def __init__(self):
            self.session = make_session()
            self.itself = self

        def __del__(self):
            self.session.close()

    class Name(str):
        __slots__ = ()

        def __hash__(self):
            gc.collect()
            return super().__hash__()

    def work():
        with watch.owner("first"):
            Repository()
        with watch.owner(Name("second")), make_session():
            pass

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert seen.counts() == {"opened": 2, "closed": 2}


def test_many_threads_lose_no_count(watch, seen, make_engine):
    engine = make_engine(pool_size=8, pool_timeout=20)

    def work(number):
        for turn in range(25):
            with watch.owner(f"job {turn % 3}"), Session(engine) as session:
                session.execute(ONE)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen.counts() == {
        "opened": 150,
        "closed": 150,
        "statements": 150,
        "checkouts": 150,
        "checkins": 150,
    }
    assert seen.totals["owners"] == 150
    assert watch.active_owners() == 0


class LockWithSpectator:
    """A lock that counts all there is, as another thread may, whenever somebody wants it."""

    def __init__(self, watch):
        self._watch = watch
        self._lock = threading.RLock()
        self._looks = False
        self.counted = []

    def __enter__(self):
        if not self._looks:
            self._looks = True
            try:
                routes = self._watch._ledger.routes(self._watch.clock(), self._watch.process_owner)
                self.counted.append(tuple(_opened_and_checked_out(routes)))
            finally:
                self._looks = False
        return self._lock.__enter__()

    def __exit__(self, *exception):
        self._lock.__exit__(*exception)


def _opened_and_checked_out(routes):
    for name in ("opened", "checkouts"):
        yield sum(getattr(route.counts, name) for route in routes.values())


def test_session_is_counted_at_every_moment_while_it_is_summed_up(watch, make_session):
    """Of the process, whose sessions are never judged as a whole; taken by the collector."""
    session = make_session()
    session.execute(ONE)
    session.info["cycle"] = session
    lock = watch._ledger._lock = LockWithSpectator(watch)
    del session
    gc.collect()
    watch.snapshot()
    assert set(lock.counted) == {(1, 1)}


def test_connection_is_counted_at_every_moment_while_it_is_summed_up(watch, engine):
    connection = engine.connect()
    lock = watch._ledger._lock = LockWithSpectator(watch)
    connection.close()
    watch.snapshot()
    assert set(lock.counted) == {(0, 1)}


def test_session_is_counted_at_every_moment_while_it_is_used_again(watch, make_session):
    session = make_session()
    with watch.owner("job"):
        session.execute(ONE)
        session.close()
    watch.snapshot()
    lock = watch._ledger._lock = LockWithSpectator(watch)
    session.execute(ONE)
    session.close()
    assert {opened for opened, _ in lock.counted} <= {1}


def test_sessions_over_the_bound_are_counted_at_every_moment(make_watch, make_session):
    watch = make_watch(Settings(max_owner_sessions=1, log_findings=False))
    with watch.owner("job"):
        first = make_session()
        lock = watch._ledger._lock = LockWithSpectator(watch)
        second = make_session()
    assert {opened for opened, _ in lock.counted} <= {1, 2}
    assert [opened for opened, _ in lock.counted] == sorted(opened for opened, _ in lock.counted)
    first.close()
    second.close()
