"""Everything of ours that the application calls is made to raise, each in its turn.

What is called is looked up, so that nobody has to think of this file for a new hook, a new rule
or a new method of the watch.
"""

import asyncio
import gc
import importlib
import inspect
import pkgutil
import threading
import urllib.error
import urllib.request

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocketDisconnect

import sessionwatch
from benchmarks.mixed_traffic import Step, answer_to
from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings
from sessionwatch.instruments import attribution, middleware, switch
from sessionwatch.ledger import Ledger
from sessionwatch.records.owner import Owner
from sessionwatch.records.recorder import Recorder
from sessionwatch.rules import catalog

pytestmark = pytest.mark.usefixtures("expects_internal_errors")

ONE = select(1)
NOWHERE = "http://127.0.0.1:9/"
EVERY_RULE = Settings(extend_select=("SW304",))
GUARDS = {attribution.guarded(len).__code__, attribution.listener(len).__code__}


def package_modules():
    for found in pkgutil.walk_packages(sessionwatch.__path__, "sessionwatch."):
        if not found.name.startswith(("sessionwatch.lab", "sessionwatch.__main__")):
            yield importlib.import_module(found.name)


def guarded_hooks():
    """Each guarded function of the package once, with the cell that holds what it guards."""
    for module in package_modules():
        for function in vars(module).values():
            if getattr(function, "__code__", None) in GUARDS and function.__closure__:
                (cell,) = function.__closure__
                yield cell.cell_contents.__name__, cell


HOOKS = dict(guarded_hooks())
METHODS = sorted(
    name for name, each in vars(Recorder).items() if inspect.isfunction(each) and name[0] != "_"
)
"""What the instruments call of a watch."""
METHODS.remove("hook_failed")
AT_THE_EDGE = sorted(
    name
    for name, each in vars(middleware).items()
    if inspect.isfunction(each)
    and each.__module__.startswith("sessionwatch.")
    and each.__code__ not in GUARDS
)
"""What the middleware calls, other than guarded hooks."""


def raises(name):
    def fail(*arguments, **options):
        raise ZeroDivisionError("ours")

    fail.__name__ = name
    return fail


@pytest.fixture
def hook_raises(hook, monkeypatch):
    monkeypatch.setattr(HOOKS[hook], "cell_contents", raises(hook))


class Application:
    """One of every way to use sessions, as an ASGI application; what it says is the same always."""

    def __init__(self, make_engine, session_class, models, clock):
        self.engine = make_engine(pool_size=8, max_overflow=0, pool_timeout=0.001)
        self.tiny = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.001)
        self.session_class = session_class
        self.models = models
        self.clock = clock
        self.kept = []
        event.listen(self.engine, "before_cursor_execute", self._pass_time)
        self.app = FastAPI()
        self._add_routes()

    def _pass_time(self, connection, cursor, statement, *rest):
        self.clock.advance(0.2 if "slow" in statement else 0.001)
        if "overlap" in statement:
            other = threading.Thread(target=connection.exec_driver_sql, args=("SELECT 1",))
            other.start()
            other.join()

    def session(self):
        return self.session_class(self.engine)

    def _add_routes(self):
        def get_session():
            with self.session() as session:
                yield session

        app, item = self.app, self.models.Item

        @app.get("/write/{name}")
        def write(name: str, session=Depends(get_session)):
            session.add(item(name=name))
            session.commit()
            with session.begin_nested():
                session.add(item(name=f"{name} in a savepoint"))
            session.add(item(name=f"{name} undone"))
            session.flush()
            session.rollback()
            session.add(item(name=name))
            errors = [self._error(session.flush), self._error(lambda: session.execute(ONE))]
            session.rollback()
            errors.append(self._error(lambda: session.execute(text("SELECT nonsense"))))
            return [*errors, session.scalar(text("SELECT count(*) FROM item"))]

        @app.get("/ends")
        def ends():
            counts = []
            for end in ("reset", "invalidate", "close"):
                session = self.session()
                session.execute(ONE)
                getattr(session, end)()
                counts.append(self.engine.pool.checkedout())
            return counts

        @app.get("/refused")
        def refused(session=Depends(get_session)):
            seen = []
            event.listen(
                session, "before_commit", lambda each: seen.append(self._error(each.close))
            )
            session.execute(ONE)
            session.commit()
            return seen

        @app.get("/deferred")
        def deferred(session=Depends(get_session)):
            session.add(self.models.Part(item_id=self.models.no_such_item))
            return self._error(session.commit)

        @app.get("/full")
        def full():
            with self.tiny.connect() as connection:
                connection.execute(ONE)
                session = self.session_class(self.tiny)
                return self._error(lambda: session.execute(ONE))

        @app.get("/core")
        def core():
            with self.engine.connect() as connection:
                connection.execute(ONE)
                connection.detach()
            with self.engine.connect() as connection, self.session_class(connection) as session:
                session.execute(ONE)
            with self.engine.connect() as connection:
                connection.execute(ONE)
                connection.invalidate()
                return self._error(lambda: connection.execute(ONE))

        @app.get("/leaked")
        def leaked():
            session = self.session()
            session.info["cycle"] = session
            return session.scalar(ONE)

        @app.get("/kept")
        def kept():
            self.kept.append(self.session())
            return self.kept[-1].scalar(ONE)

        @app.get("/used-later")
        def used_later():
            session = self.kept.pop()
            session.execute(ONE)
            session.close()
            session.execute(ONE)
            session.close()
            return "closed"

        @app.get("/slow")
        async def slow():
            with self.session() as session:
                return session.scalar(text("SELECT 'slow'"))

        @app.get("/overlap")
        def overlap(session=Depends(get_session)):
            return session.scalar(text("SELECT 'overlap'"))

        @app.get("/early")
        def early(tasks: BackgroundTasks):
            session = self.session()
            session.add(item(name="early"))
            session.flush()
            session.execute(ONE)

            def work():
                with self.session() as other:
                    other.execute(ONE)
                session.close()

            tasks.add_task(work)
            return "accepted"

        @app.get("/engine")
        def make_engine():
            create_engine(self.engine.url).dispose()
            return "made"

        @app.get("/outbound")
        def outbound(session=Depends(get_session)):
            session.execute(ONE)
            try:
                urllib.request.urlopen(NOWHERE, timeout=1)
            except urllib.error.URLError:
                return "refused"

        @app.get("/detached")
        def detached():
            with self.session() as session:
                found = session.scalars(select(item)).first()
                session.commit()
            return found.name

        @app.get("/half")
        def half(session=Depends(get_session)):
            session.add(item(name="half"))
            session.flush()
            raise HTTPException(418)

        @app.get("/twice")
        def twice(session=Depends(get_session)):
            for name in ("once", "twice"):
                session.add(item(name=name))
                session.commit()
            raise LookupError("application's own")

        @app.get("/stream")
        def stream():
            def lines():
                with self.session() as session:
                    yield from session.scalars(text("SELECT name FROM item ORDER BY id"))

            return StreamingResponse(lines())

        @app.websocket("/socket")
        async def socket(socket: WebSocket):
            await socket.accept()
            try:
                while True:
                    await socket.receive_text()
                    with self.session() as session:
                        await socket.send_text(str(session.scalar(ONE)))
            except WebSocketDisconnect:
                return

    @staticmethod
    def _error(action):
        try:
            action()
        except SQLAlchemyError as error:
            return type(error).__name__
        return None

    STEPS = (
        *(Step("GET", f"/write/{name}") for name in "ab"),
        *(
            Step("GET", f"/{path}")
            for path in (
                *("ends", "refused", "deferred", "full", "core", "leaked", "kept", "used-later"),
                *("slow", "overlap", "early", "engine", "outbound", "detached", "half", "twice"),
                *("stream", "nowhere", "kept"),
            )
        ),
        Step("WEBSOCKET", "/socket", b'["x", "y"]'),
    )

    async def serve(self, app):
        """Start, send every step, and shut down with a session still out; returns the answers."""
        answers = []
        started = asyncio.Event()
        waiting = asyncio.Queue()
        waiting.put_nowait({"type": "lifespan.startup"})

        async def send(message):
            answers.append(message)
            started.set()

        lifespan = asyncio.ensure_future(app({"type": "lifespan"}, waiting.get, send))
        await started.wait()
        for step in self.STEPS:
            answers.append(await answer_to(app, step, asyncio.Event()))
            if step.path == "/leaked":
                gc.collect()
        late = self.kept.pop()
        late.execute(ONE)
        late.close()
        left = self.session()
        left.execute(ONE)
        waiting.put_nowait({"type": "lifespan.shutdown"})
        await lifespan
        left.close()
        with self.session() as session:
            answers.append(session.execute(text("SELECT id, name FROM item ORDER BY id")).all())
        return answers


@pytest.fixture
def application(make_engine, truth, models, clock):
    return Application(make_engine, truth.session_class, models, clock)


@pytest.fixture(scope="session")
def expected(tmp_path_factory, empty_database, models):
    """What the application says when nobody watches."""
    path = tmp_path_factory.mktemp("expected") / "test.db"
    path.write_bytes(empty_database)
    engines = []

    def make(**options):
        engine = create_engine(f"sqlite:///{path}", **options)
        event.listen(engine, "connect", _enforce_foreign_keys)
        engines.append(engine)
        return engine

    from sqlalchemy.orm import Session

    class NoClock:
        def advance(self, seconds):
            pass

    application = Application(make, Session, models, NoClock())
    answers = asyncio.run(application.serve(application.app))
    for engine in engines:
        engine.dispose()
    return answers


def _enforce_foreign_keys(connection, entry):
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


@pytest.fixture
def endured(application, expected, clock, log, unharmed):
    """Serve with a watch; returns its internal errors by hook, of which each was logged once."""

    def serve():
        with SessionWatch(EVERY_RULE, clock=clock, wall_clock=clock.wall) as watch:
            watched = SessionWatchMiddleware(application.app, watch)
            answers = asyncio.run(application.serve(watched))
            gc.collect()
            watch.inspect_connections()
            watch.snapshot()
        for answer, other in zip(answers, expected, strict=True):
            assert answer == other
        errors = watch.snapshot().internal_errors
        told = [each for each in log.records if "sessionwatch failed in" in each.getMessage()]
        assert len(told) == len(errors["by_hook"])
        assert {each.exc_info[0] for each in told} <= {ZeroDivisionError}
        assert errors["count"] == sum(errors["by_hook"].values())
        assert application.engine.pool.checkedout() == application.tiny.pool.checkedout() == 0
        assert watch._ledger.live_owners() == []
        return errors["by_hook"]

    return serve


def test_they_were_found():
    assert len(HOOKS) >= 28
    assert {"session_opened", "returned", "statement_ended", "error_left", "shut_down"} <= set(
        HOOKS
    )
    assert {"incident", "session_settled", "session_collected", "tidy"} <= set(METHODS)
    assert {"allowed_by", "route_label"} <= set(AT_THE_EDGE)


def test_every_listener_is_guarded():
    guarded = {id(cell) for cell in HOOKS.values()}
    for _, name, listener in switch._LISTENERS:
        assert listener.__code__ is attribution.listener(len).__code__, name
        assert id(listener.__closure__[0]) in guarded


def test_nothing_fails_when_nothing_is_broken(endured, unharmed, truth):
    assert endured() == {}
    gc.collect()
    assert truth.alive == 0


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_that_raises(hook_raises, hook, endured):
    assert endured().get(hook, 0) > 0


@pytest.mark.parametrize("code", sorted(catalog.OWNER_RULES))
def test_rule_at_the_end_that_raises(code, monkeypatch, endured):
    monkeypatch.setitem(catalog.OWNER_RULES, code, raises(code))
    assert set(endured()) == {f"rule {code}"}


INCIDENTS = {code: incident for incident, (code, _) in catalog.INCIDENT_RULES.items()}


@pytest.mark.parametrize("code", sorted(INCIDENTS))
def test_rule_at_once_that_raises(code, monkeypatch, endured):
    monkeypatch.setitem(catalog.INCIDENT_RULES, INCIDENTS[code], (code, raises(code)))
    assert set(endured()) == {f"rule {code}"}


@pytest.mark.parametrize("name", METHODS)
def test_method_that_raises(name, monkeypatch, endured):
    monkeypatch.setattr(SessionWatch, name, raises(name))
    endured()


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_function_of_the_middleware_that_raises(name, monkeypatch, endured):
    monkeypatch.setattr(middleware, name, raises(name))
    endured()


def test_ledger_that_cannot_begin(monkeypatch, endured):
    monkeypatch.setattr(Ledger, "begin", raises("begin"))
    assert endured().get("begin_owner", 0) > 0


def test_telling_of_a_failure_that_raises_too(monkeypatch, endured):
    monkeypatch.setattr(HOOKS["statement_began"], "cell_contents", raises("statement_began"))
    monkeypatch.setattr(SessionWatch, "hook_failed", raises("hook_failed"))
    endured()


@pytest.mark.parametrize("name", ["locate", "find_allowed", "end", "note_failure"])
def test_method_of_an_owner_that_raises(name, monkeypatch, endured):
    for owner in (Owner, middleware.RequestOwner):
        if name in vars(owner):
            monkeypatch.setattr(owner, name, raises(name))
    assert endured()
