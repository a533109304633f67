"""The watch: owners, narrowing, several watches, child tasks, and its own failures."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sessionwatch import Owner, SessionWatch, SessionWatchMiddleware, Settings
from sessionwatch.rules import sw101, sw103

ONE = select(1)


def test_sessions_outside_of_any_owner_belong_to_the_process(seen, make_session):
    with make_session() as session:
        session.execute(ONE)
    assert list(seen.snapshot.routes) == ["process"]
    assert seen.totals["owners"] == 0


def test_process_owner_shows_in_open_sessions(seen, make_session):
    session = make_session()
    (shown,) = seen.snapshot.open_sessions
    session.close()
    assert (shown["owner"]["kind"], shown["owner"]["route"]) == ("process", None)


def test_owner_is_what_its_sessions_are_counted_under(watch, seen, make_session):
    with watch.owner("nightly import") as owner, make_session():
        assert isinstance(owner, Owner)
        assert watch.active_owners() == 1
    with make_session():
        pass
    assert watch.active_owners() == 0
    routes = seen.snapshot.to_dict()["routes"]
    assert routes["nightly import"]["opened"] == routes["process"]["opened"] == 1
    assert routes["nightly import"]["owners"] == seen.totals["owners"] == 1


@pytest.mark.parametrize("sessions", [1, 3, 500])
def test_owners_are_counted_however_many_sessions_they_had(watch, seen, make_session, sessions):
    for _ in range(2):
        with watch.owner("job"):
            for _ in range(sessions):
                with make_session():
                    pass
    totals = seen.snapshot.to_dict()["routes"]["job"]
    assert (totals["owners"], totals["opened"], totals["closed"]) == (2, 2 * sessions, 2 * sessions)


def test_owner_without_sessions_leaves_no_route(watch, seen):
    with watch.owner("idle"):
        pass
    assert seen.snapshot.routes == {}


def test_owner_kind_and_name_show_in_findings(watch, seen, make_session):
    with watch.owner("test_items", kind="test"):
        session = make_session()
        session.execute(ONE)
    owner = seen.only_finding("SW101")["owner"]
    session.close()
    assert (owner["kind"], owner["name"], owner["route"]) == ("test", "test_items", None)


def test_owners_nest(watch, seen, make_session):
    with watch.owner("outer"):
        with make_session():
            pass
        with watch.owner("inner"), make_session():
            pass
        with make_session():
            pass
    opened = {name: route.counts.opened for name, route in seen.snapshot.routes.items()}
    assert opened == {"outer": 2, "inner": 1}


def test_exception_passes_through_the_owner_unchanged(watch, seen, make_session):
    error = ValueError("mine")
    sessions = []

    def work():
        with watch.owner("job"):
            sessions.append(make_session())
            sessions[0].execute(ONE)
            raise error

    with pytest.raises(ValueError, match="mine") as caught:
        work()
    sessions[0].close()
    assert caught.value is error
    assert seen.only_finding("SW101")["owner"]["error"] == "ValueError"
    assert "mine" not in str(seen.snapshot.to_dict())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_owner_ends_whatever_is_raised(watch, make_session, error):
    with pytest.raises(error), watch.owner("job"), make_session():
        raise error
    assert watch.active_owners() == 0


def test_thread_that_copies_no_context_belongs_to_the_process(watch, seen, make_session):
    def work():
        with make_session():
            pass

    with watch.owner("job"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert list(seen.snapshot.routes) == ["process"]


def test_two_watches_do_not_see_each_others_owners(make_watch, read, make_session):
    first, second = make_watch(), make_watch()
    with first.owner("first"), make_session():
        pass
    with second.owner("second"), make_session():
        pass
    with make_session():
        pass
    assert list(read(first).snapshot.routes) == ["first"]
    assert sorted(read(second).snapshot.routes) == ["process", "second"]


def test_watch_inside_a_watched_owner(make_watch, read, make_session):
    """A test of its own inside a watched application."""
    outer = make_watch()
    with outer.owner("request"):
        with SessionWatch() as inner, inner.owner("test"):
            leaked = make_session()
            leaked.execute(ONE)
        assert read(inner).codes == ["SW101"]
        leaked.close()
        with make_session():
            pass
    assert read(outer).codes == []
    assert read(outer).counts("opened", "closed") == {"opened": 1, "closed": 1}


def test_stopping_inside_an_owner(make_session, read):
    watch = SessionWatch().start()
    with watch.owner("job"):
        with make_session():
            pass
        watch.stop()
        with make_session():
            pass
    assert watch.active_owners() == 0
    assert read(watch).counts("opened") == {"opened": 1}


class TestOnly:
    """`only=[...]` narrows the watch."""

    class OwnSession(Session):
        pass

    def _use(self, make):
        with make() as session:
            session.execute(ONE)

    def test_session_class(self, make_watch, read, engine):
        watch = make_watch(only=[self.OwnSession])
        self._use(lambda: self.OwnSession(engine))
        self._use(lambda: Session(engine))
        assert read(watch).counts("opened", "closed") == {"opened": 1, "closed": 1}

    def test_sessionmaker(self, make_watch, read, engine):
        wanted, other = sessionmaker(engine), sessionmaker(engine)
        watch = make_watch(only=[wanted])
        self._use(wanted)
        self._use(scoped_session(wanted))
        self._use(other)
        assert read(watch).counts("opened") == {"opened": 2}

    def test_engine(self, make_watch, read, make_engine, models):
        engine, other = make_engine(), make_engine()
        watch = make_watch(only=[engine])
        with watch.owner("job"):
            self._use(lambda: Session(engine))
            self._use(lambda: Session(other))
            with Session(binds={models.Item: engine}) as session:
                session.execute(select(models.Item))
            with engine.connect() as connection:
                self._use(lambda: Session(connection))
            with other.connect() as connection:
                self._use(lambda: Session(connection))
        assert read(watch).counts("opened", "closed") == {"opened": 3, "closed": 3}

    def test_engine_narrows_core_connections_too(self, make_watch, read, make_engine):
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

    def test_engine_and_session_class_together(self, make_watch, read, make_engine):
        engine, other = make_engine(), make_engine()
        watch = make_watch(only=[engine, self.OwnSession])
        with watch.owner("job"):
            leaked = [self.OwnSession(other), Session(other)]
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

    def test_engine_narrows_timeouts_too(self, make_watch, read, make_engine):
        tiny = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.001}
        engine, other = make_engine(**tiny), make_engine(**tiny)
        watch = make_watch(only=[engine])
        for each in (engine, other):
            with each.connect(), pytest.raises(PoolTimeoutError):
                each.connect()
        assert read(watch).codes == ["SW501"]
        assert len(read(watch).snapshot.pools) == 1

    def test_session_that_is_not_meant_may_leak(self, make_watch, read, engine):
        watch = make_watch(only=[self.OwnSession])
        with watch.owner("job"):
            session = Session(engine)
            session.execute(ONE)
        assert read(watch).codes == []
        assert read(watch).counts("opened", "statements") == {"opened": 0, "statements": 0}
        session.close()

    def test_async_engine(self, make_watch, read, run_async):
        from sqlalchemy.ext.asyncio import AsyncSession

        async def body(engine):
            watch = make_watch(only=[engine])
            async with AsyncSession(engine) as session:
                await session.execute(ONE)
            return watch

        watch = run_async(body)
        assert read(watch).counts("opened", "closed") == {"opened": 1, "closed": 1}

    def test_sync_session_class_of_async_sessions(self, make_watch, read, run_async):
        from sqlalchemy.ext.asyncio import AsyncSession

        class OwnAsyncSession(AsyncSession):
            sync_session_class = self.OwnSession

        async def body(engine):
            watch = make_watch(only=[self.OwnSession])
            for make in (AsyncSession, OwnAsyncSession):
                async with make(engine) as session:
                    await session.execute(ONE)
            return watch

        watch = run_async(body)
        assert read(watch).counts("opened", "closed") == {"opened": 1, "closed": 1}

    def test_async_session_class_would_match_nothing_and_is_refused(self):
        from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

        for wrong in (AsyncSession, async_sessionmaker()):
            with pytest.raises(TypeError, match="for an AsyncSession, give its AsyncEngine"):
                SessionWatch(only=[wrong])

    @pytest.mark.parametrize("wrong", ["Session", 3, None, object()])
    def test_anything_else_is_refused(self, wrong):
        with pytest.raises(TypeError, match="only takes"):
            SessionWatch(only=[wrong])


class TestChildTasks:
    """An owner is judged when the tasks that hold its sessions are done."""

    def test_child_that_closes_later_is_silent(self, watch, seen, run_async, make_session):
        async def body(engine):
            go_on = asyncio.Event()

            async def child():
                with make_session() as session:
                    session.execute(ONE)
                    await go_on.wait()

            with watch.owner("job"):
                task = asyncio.create_task(child())
                await asyncio.sleep(0)
            assert watch.active_owners() == 1
            go_on.set()
            await task
            await asyncio.sleep(0)

        run_async(body)
        assert watch.active_owners() == 0
        assert seen.codes == []
        assert seen.totals["owners"] == 1

    def test_child_that_never_closes_is_a_leak(self, watch, seen, run_async, make_session):
        kept = []

        async def body(engine):
            async def child():
                kept.append(make_session())
                kept[0].execute(ONE)
                await asyncio.sleep(0)

            with watch.owner("job"):
                task = asyncio.create_task(child())
                await asyncio.sleep(0)
            assert seen.codes == []
            await task
            await asyncio.sleep(0)

        run_async(body)
        assert watch.active_owners() == 0
        assert seen.codes == ["SW101"]
        kept[0].close()

    def test_child_that_loses_writes_later(
        self, watch, seen, run_async, make_session, models, rows
    ):
        async def body(engine):
            go_on = asyncio.Event()

            async def child():
                with make_session() as session:
                    session.add(models.Item(name="a"))
                    session.flush()
                    await go_on.wait()

            with watch.owner("job"):
                task = asyncio.create_task(child())
                await asyncio.sleep(0)
            go_on.set()
            await task
            await asyncio.sleep(0)

        run_async(body)
        assert rows() == 0
        assert seen.counts("discarded") == {"discarded": 1}
        assert seen.codes == ["SW203"]

    def test_child_that_uses_its_parents_session(self, watch, seen, run_async, make_session):
        async def body(engine):
            go_on = asyncio.Event()

            async def child(session):
                session.execute(ONE)
                await go_on.wait()
                session.close()

            with watch.owner("job"):
                task = asyncio.create_task(child(make_session()))
                await asyncio.sleep(0)
            go_on.set()
            await task
            await asyncio.sleep(0)

        run_async(body)
        assert seen.codes == []

    @pytest.mark.parametrize("closes", [True, False])
    def test_child_that_opens_after_its_owner_ended(
        self, watch, seen, run_async, make_session, closes
    ):
        kept = []

        async def body(engine):
            go_on = asyncio.Event()

            async def child():
                await go_on.wait()
                kept.append(make_session())
                kept[0].execute(ONE)
                assert seen.counts("opened", "open") == {"opened": 1, "open": 1}
                assert len(seen.snapshot.open_sessions) == 1
                if closes:
                    kept[0].close()

            with watch.owner("job"):
                task = asyncio.create_task(child())
                await asyncio.sleep(0)
            go_on.set()
            await task
            await asyncio.sleep(0)

        run_async(body)
        assert seen.counts("opened", "closed") == {"opened": 1, "closed": int(closes)}
        assert seen.codes == ([] if closes else ["SW101"])
        assert list(seen.snapshot.routes) == ["job"]
        kept[0].close()
        assert seen.counts("opened", "closed", "checkins") == {
            "opened": 1,
            "closed": 1,
            "checkins": 1,
        }

    def test_child_that_opens_after_its_owner_ended_and_loses_writes(
        self, watch, seen, run_async, make_session, models
    ):
        async def body(engine):
            go_on = asyncio.Event()

            async def child():
                await go_on.wait()
                with make_session() as session:
                    session.add(models.Item(name="a"))
                    session.flush()

            with watch.owner("job"):
                task = asyncio.create_task(child())
                await asyncio.sleep(0)
            go_on.set()
            await task
            await asyncio.sleep(0)

        run_async(body)
        assert seen.counts("opened", "discarded") == {"opened": 1, "discarded": 1}
        assert seen.codes == ["SW203"]

    def test_child_that_goes_on_for_ever_withholds_nothing(
        self, watch, seen, run_async, make_session, models
    ):
        """The owner waits for the sessions that are open, not for the end of their task."""

        async def body(engine):
            started, go_on = asyncio.Event(), asyncio.Event()

            async def child():
                with make_session() as session:
                    session.execute(ONE)
                    started.set()
                    await go_on.wait()
                await asyncio.Event().wait()

            with watch.owner("job"):
                with make_session() as session:
                    session.add(models.Item(name="lost"))
                    session.flush()
                task = asyncio.create_task(child())
                await started.wait()
            go_on.set()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not task.done()
            assert seen.codes == ["SW203"]
            assert watch.active_owners() == 0
            task.cancel()

        run_async(body)
        assert seen.totals["owners"] == 1

    def test_request_with_a_child_that_closes_later(
        self, watch, watched, seen, run_async, make_session
    ):
        async def body(engine):
            tasks = []
            go_on = asyncio.Event()

            async def child():
                with make_session() as session:
                    session.execute(ONE)
                    await go_on.wait()

            async def app(scope, receive, send):
                tasks.append(asyncio.create_task(child()))
                await asyncio.sleep(0)
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b""})

            async def send(message):
                pass

            await watched(app)({"type": "http", "method": "GET", "path": "/"}, None, send)
            assert watch.active_owners() == 1
            go_on.set()
            await asyncio.gather(*tasks)
            await asyncio.sleep(0)

        run_async(body)
        assert watch.active_owners() == 0
        assert seen.codes == []


class TestOwnFailures:
    """What fails of ours is counted and stays ours."""

    @pytest.fixture(autouse=True)
    def _expected(self, expects_internal_errors):
        pass

    def test_rule_that_raises_is_counted_and_the_others_are_heard(
        self, watch, seen, make_session, models, monkeypatch
    ):
        def raises(owner):
            raise ZeroDivisionError

        from sessionwatch.rules import catalog

        if hasattr(catalog, "OWNER_RULES"):
            monkeypatch.setitem(catalog.OWNER_RULES, "SW101", raises)
        monkeypatch.setattr(sw101, "check", raises)
        with watch.owner("job"):
            leaked = make_session()
            leaked.execute(ONE)
            with make_session() as session:
                session.add(models.Item(name="a"))
                session.flush()
        leaked.close()
        assert watch.active_owners() == 0
        assert seen.snapshot.internal_errors["count"] == 1
        assert seen.codes == ["SW203"]
        assert seen.totals["owners"] == 1

    @pytest.mark.parametrize("kind", ["session", "core"])
    def test_rule_that_raises_over_what_was_collected(
        self, watch, seen, engine, make_session, monkeypatch, kind
    ):
        def raises(record):
            raise ZeroDivisionError

        monkeypatch.setattr(sw103, "check_session", raises)
        monkeypatch.setattr(sw103, "check_connection", raises)
        if kind == "session":
            make_session().execute(ONE)
        else:
            engine.connect().execute(ONE)
        gc.collect()
        assert seen.snapshot.internal_errors["count"] == 1
        assert seen.snapshot.internal_errors["count"] == 1
        assert seen.counts("checkouts", "checkins") == {"checkouts": 1, "checkins": 1}

    def test_route_that_cannot_be_told(self, watch, seen, make_session):
        def raises():
            raise ZeroDivisionError

        with watch.owner("GET (no route)", kind="request") as owner:
            owner.locate = raises
            with make_session():
                pass
            assert seen.counts("opened") == {"opened": 1}
        assert watch.active_owners() == 0
        assert list(seen.snapshot.routes) == ["GET (no route)"]
        assert seen.snapshot.internal_errors["count"] > 0

    @pytest.mark.parametrize("part", ["handler", "filter"])
    def test_log_handler_that_raises(self, watch, seen, make_session, part):
        logger = logging.getLogger("sessionwatch")

        class Raises(logging.Handler):
            def emit(self, record):
                raise ZeroDivisionError("theirs")

        def refuse(record):
            raise ZeroDivisionError("theirs")

        handler = Raises()
        logger.addHandler(handler) if part == "handler" else logger.addFilter(refuse)
        try:
            with watch.owner("job"):
                session = make_session()
                session.execute(ONE)
        finally:
            logger.removeHandler(handler)
            logger.removeFilter(refuse)
        session.close()
        assert watch.active_owners() == 0
        assert seen.codes == ["SW101"]

    def test_failure_is_logged_once_for_each_hook(self, watch, seen, log):
        for hook in ("first", "first", "second", "first"):
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                watch.hook_failed(hook)
        messages = [record.getMessage() for record in log.records]
        assert ["first" in message for message in messages] == [True, False]
        assert ["second" in message for message in messages] == [False, True]
        assert seen.snapshot.internal_errors == {
            "count": 4,
            "by_hook": {"first": 3, "second": 1},
        }


def test_middleware_is_silent_when_the_watch_is_stopped(make_session, call, read):
    watch = SessionWatch()

    async def app(scope, receive, send):
        with make_session():
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    assert call(SessionWatchMiddleware(app, watch=watch)).text == "ok"
    assert read(watch).counts() == {}


def test_snapshot_of_a_watch_that_never_ran(read):
    assert read(SessionWatch()).counts() == {}


def test_engine_that_cannot_connect_is_the_users_business(watch, seen, tmp_path):
    from sqlalchemy.exc import OperationalError

    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder/test.db")
    with watch.owner("job"), Session(engine) as session, pytest.raises(OperationalError):
        session.execute(ONE)
    assert seen.counts("opened", "closed", "checkouts") == {
        "opened": 1,
        "closed": 1,
        "checkouts": 0,
    }
    assert seen.codes == []


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING, logging.ERROR])
def test_finding_is_logged_at_its_severity(watch, make_session, models, log, level):
    with watch.owner("job"):
        session = make_session()
        if level == logging.ERROR:
            session.execute(ONE)
    session.close()
    levels = [record.levelno for record in log.records]
    assert levels == [logging.ERROR if level == logging.ERROR else logging.INFO]


def test_nothing_is_logged_when_logging_is_off(make_watch, read, make_session, log):
    watch = make_watch(Settings(log_findings=False))
    with watch.owner("job"):
        session = make_session()
        session.execute(ONE)
    session.close()
    assert read(watch).codes == ["SW101"]
    assert log.records == []


def test_log_tells_the_tenth_and_the_hundredth(watch, seen, make_session, log):
    sessions = []
    for _ in range(120):
        with watch.owner("job"):
            sessions.append(make_session())
    for session in sessions:
        session.close()
    first_lines = [record.getMessage().splitlines()[0] for record in log.records]
    assert [line.rpartition("(")[2] for line in first_lines[1:]] == [
        "seen 10 times)",
        "seen 100 times)",
    ]
    assert len(first_lines) == 3
    assert seen.codes == ["SW107"] * 120


def test_log_message_is_enough_by_itself(watch, make_session, log):
    with watch.owner("job"):
        session = make_session()
        session.execute(ONE)
    session.close()
    (record,) = log.records
    first, *rest = record.getMessage().splitlines()
    assert first.startswith("SW101 session leak: job opened a session at tests/test_watch.py:")
    assert first.endswith("; 1 connection of the pool is still out (1 of 5 in use)")
    assert rest[0] == "  opened at"
    assert "tests/test_watch.py" in rest[1]
    assert rest[-1].startswith("  fix: Close the session")
