"""SW106 shutdown-leak."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from sessionwatch import SessionWatchMiddleware, install

ONE = select(1)


def _run(app, during=None, messages=("lifespan.startup", "lifespan.shutdown")):
    """Start an application and shut it down, as a server does; returns what it has sent."""
    sent = []

    async def main():
        waiting = [{"type": each} for each in messages]

        async def receive():
            if len(waiting) == 1 and during is not None:
                during()
            return waiting.pop(0)

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    asyncio.run(main())
    return sent


COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.fixture
def started_with(watch):
    """A watched application whose lifespan opens a session, and ends it as it is told."""

    def started_with(make_session, end):
        @asynccontextmanager
        async def lifespan(app):
            session = make_session()
            session.execute(ONE)
            app.state.session = session
            yield
            end(session)

        app = FastAPI(lifespan=lifespan)
        app.add_middleware(SessionWatchMiddleware, watch=watch)
        return app

    return started_with


def test_session_of_the_lifespan(seen, started_with, make_session):
    app = started_with(make_session, lambda session: None)
    assert _run(app) == COMPLETE
    finding = seen.only_finding("SW106")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "shutdown-leak",
        "warning",
        "proof",
    )
    assert finding["opened_at"]["function"] == "lifespan"
    assert finding["owner"]["kind"] == "process"
    assert finding["details"]["connections_out"] == 1
    (holder,) = finding["details"]["holders"]
    assert (holder["state"], holder["count"]) == ("idle", 1)
    assert holder["holder"].startswith("process, opened at tests/rules/test_sw106.py")
    assert "has shut down, and 1 connection of the pool sqlite:" in finding["message"]
    app.state.session.close()


def test_twin_closes_it(seen, started_with, make_session):
    assert _run(started_with(make_session, lambda session: session.close())) == COMPLETE
    assert seen.codes == []


def test_engine_that_is_disposed_of_with_a_connection_out(seen, started_with, make_session, engine):
    app = started_with(make_session, lambda session: engine.dispose())
    assert _run(app) == COMPLETE
    assert seen.codes == ["SW106"]
    app.state.session.close()


def test_one_finding_for_each_pool(watch, seen, make_engine, tmp_path):
    engines = [make_engine(f"sqlite:///{tmp_path}/{name}.db") for name in "ab"]
    sessions = []
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)

    def use():
        for engine in engines:
            for _ in range(2):
                sessions.append(Session(engine))
                sessions[-1].execute(ONE)

    _run(app, use)
    assert seen.codes == ["SW106", "SW106"]
    assert {finding["details"]["pool"] for finding in seen.findings} == {
        f"sqlite:///{tmp_path}/a.db",
        f"sqlite:///{tmp_path}/b.db",
    }
    assert [finding["details"]["connections_out"] for finding in seen.findings] == [2, 2]
    for session in sessions:
        session.close()


def test_what_a_request_had_leaked(watch, seen, make_session):
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)
    leaked = []

    def leak():
        with watch.owner("GET /items"):
            leaked.append(make_session())
            leaked[0].execute(ONE)

    _run(app, leak)
    assert seen.codes == ["SW101", "SW106"]
    finding = seen.findings[1]
    assert finding["related"] == ["SW101"]
    assert finding["details"]["holders"][0]["state"] == "leaked"
    assert finding["details"]["holders"][0]["holder"].startswith("GET /items, opened at")
    leaked[0].close()


def test_judged_once_below_two_middlewares(watch, seen, started_with, make_session):
    app = started_with(make_session, lambda session: None)
    _run(SessionWatchMiddleware(app, watch))
    assert seen.codes == ["SW106"]
    app.state.session.close()


def test_installed(make_watch, read, make_session):
    app = FastAPI()
    watch = install(app, watch=make_watch())
    left = []

    def use():
        left.append(make_session())
        left[0].execute(ONE)

    _run(app, use)
    watch.stop()
    assert read(watch).codes == ["SW106"]
    left[0].close()


def test_application_that_returns_without_a_word(watch, seen, watched, make_session):
    left = []

    async def application(scope, receive, send):
        while (await receive())["type"] != "lifespan.shutdown":
            left.append(make_session())
            left[0].execute(ONE)

    _run(watched(application))
    assert seen.codes == ["SW106"]
    left[0].close()


def test_shutdown_that_fails(watch, seen, make_session):
    left = []

    @asynccontextmanager
    async def lifespan(app):
        left.append(make_session())
        left[0].execute(ONE)
        yield
        raise LookupError("at the end")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(SessionWatchMiddleware, watch=watch)
    with pytest.raises(LookupError, match="at the end"):
        _run(app)
    assert seen.codes == ["SW106"]
    left[0].close()


def test_ignores_without_a_use_are_asked_for(watch, started_with, make_session, monkeypatch):
    from sessionwatch import SessionWatch

    asked = []

    def report(self):
        asked.append(self)

    monkeypatch.setattr(SessionWatch, "report_unused_ignores", report, raising=False)
    app = started_with(make_session, lambda session: session.close())
    _run(app)
    assert asked == [watch]


class TestSilent:
    def test_application_that_knows_no_lifespan(self, watch, seen, watched, make_session):
        """A server takes the exception for an answer, and goes on."""

        async def application(scope, receive, send):
            raise KeyError("path")

        with make_session() as session:
            session.execute(ONE)
            with pytest.raises(KeyError):
                _run(watched(application))
        assert seen.codes == []

    def test_startup_alone(self, watch, seen, watched, make_session):
        async def application(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed"})

        with make_session() as session:
            session.execute(ONE)
            assert _run(watched(application)) == ["lifespan.startup.failed"]
        assert seen.codes == []

    def test_pools_at_rest(self, watch, seen, make_session):
        app = FastAPI()
        app.add_middleware(SessionWatchMiddleware, watch=watch)

        def use():
            with make_session() as session:
                session.execute(ONE)

        _run(app, use)
        assert seen.codes == []

    def test_test_that_holds_a_session_itself(self, watch, seen, make_session):
        app = FastAPI()
        app.add_middleware(SessionWatchMiddleware, watch=watch)
        with watch.owner("test_items", kind="test"), make_session() as session:
            session.execute(ONE)
            _run(app)
        assert seen.codes == []

    @pytest.mark.parametrize("opened", ["before", "after"])
    def test_session_that_a_test_lends_to_the_application(
        self, watch, seen, clock, make_session, opened
    ):
        """Opened before the application starts, it is closed when the application is gone."""
        app = FastAPI()
        app.add_middleware(SessionWatchMiddleware, watch=watch)
        lent = [make_session()] if opened == "before" else []
        clock.advance()

        def use():
            with watch.owner("GET /items"):
                if not lent:
                    lent.append(make_session())
                lent[0].execute(ONE)

        _run(app, use)
        assert ("SW106" in seen.codes) is (opened == "after")
        lent[0].close()

    def test_connection_that_a_test_has_in_a_transaction(self, watch, seen, clock, engine):
        app = FastAPI()
        app.add_middleware(SessionWatchMiddleware, watch=watch)

        def use():
            with watch.owner("GET /items"), Session(connection) as session:
                session.execute(ONE)

        with engine.connect() as connection, connection.begin():
            clock.advance()
            _run(app, use)
        assert seen.codes == []

    def test_connection_of_another_watch(self, make_watch, read, make_session):
        app = FastAPI()
        watch = make_watch()
        app.add_middleware(SessionWatchMiddleware, watch=watch)
        other = make_watch()
        with other.owner("job"), make_session() as session:
            session.execute(ONE)
            _run(app)
        assert read(watch).codes == []

    def test_watch_that_does_not_run(self, make_watch, read, started_with, make_session, watch):
        app = started_with(make_session, lambda session: None)
        watch.stop()
        assert _run(app) == COMPLETE
        app.state.session.close()
        assert read(watch).codes == []
