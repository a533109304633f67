"""Correct programs: what every one of them runs under, and what is asked when it is over."""

import asyncio
import gc
import json
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from inspect import signature

import pytest
from sqlalchemy import event

import sessionwatch
from sessionwatch import Settings


def assert_silent(watch):
    """Ask that a watch has seen sessions come and go, all of them, and finds no fault."""
    gc.collect()
    snapshot = watch.snapshot()
    alarms = [each["message"] for each in snapshot.findings if each["severity"] != "info"]
    assert not alarms, "false alarms:\n" + "\n".join(alarms)
    counts = snapshot.totals.counts
    assert counts.opened > 0, "no session was watched"
    assert not snapshot.open_sessions, f"still open: {snapshot.open_sessions}"
    assert counts.checkouts == counts.checkins
    assert watch.active_owners() == 0
    assert snapshot.internal_errors["count"] == 0


@pytest.fixture
def watch(make_watch):
    """A started watch with every rule on, by the real clock.

    A machine that is busy with something else is no fault of the program's.
    """
    return make_watch(
        Settings(loop_blocked_seconds=5), clock=time.perf_counter_ns, wall_clock=time.time
    )


@pytest.fixture(autouse=True)
def _silent(watch):
    """Judge the watch when the program and all of its fixtures are done."""
    yield
    assert_silent(watch)


@pytest.fixture
def judge():
    """The question that every program is asked at its end."""
    return assert_silent


@pytest.fixture
def engine(make_engine):
    """An engine with SQLAlchemy's own defaults: a pool of five, and ten more."""
    return make_engine()


@pytest.fixture
def async_engine(database_path):
    """The same with aiosqlite, for whoever disposes of it in the loop that used it."""
    pytest.importorskip("aiosqlite")
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{database_path}")
    event.listen(engine.sync_engine, "connect", _wait_for_no_disk)
    return engine


def _wait_for_no_disk(connection, entry):
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


@pytest.fixture
def disposing(async_engine):
    """The lifespan of an application that disposes of `async_engine` when it shuts down."""

    @asynccontextmanager
    async def lifespan(app):
        others = set(threading.enumerate())
        yield
        await async_engine.dispose()
        for thread in set(threading.enumerate()) - others:
            if "connection_worker" in thread.name:
                await asyncio.to_thread(thread.join, 10)

    return lifespan


class Conversation:
    """One WebSocket, from the client's side."""

    def __init__(self, visitor, path):
        self._visitor = visitor
        self._inbox, self._outbox = asyncio.Queue(), asyncio.Queue()
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "path": path,
            "query_string": b"",
            "headers": [],
            "subprotocols": [],
        }
        self._inbox.put_nowait({"type": "websocket.connect"})
        self._task = visitor.start(scope, self._inbox.get, self._outbox.put)
        assert self.hear()["type"] == "websocket.accept"

    def hear(self):
        """The next message from the application."""
        return self._visitor.run(self._outbox.get())

    def ask(self, text):
        """Send a text; returns the text that comes back."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})
        return self.hear()["text"]

    def hang_up(self):
        """Disconnect, and wait until the application has noticed."""
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1001})
        self._visitor.run(self._task)

    def cancel(self):
        """End the conversation as a server does that shuts down."""
        self._task.cancel()
        self._visitor.run(asyncio.wait([self._task]))


class Visitor:
    """A client of an application in this process, which lives from the first visit to the last."""

    def __init__(self, app, runner):
        httpx = pytest.importorskip("httpx")
        self._app = app
        self._runner = runner
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test")

    def run(self, awaitable):
        """Run something in the application's event loop."""

        async def wait():
            return await awaitable

        return self._runner.run(wait())

    def start(self, scope, receive, send):
        """Call the application in a task of its own."""
        return self._runner.get_loop().create_task(self._app(scope, receive, send))

    def request(self, method, path, **options):
        """Send one request."""
        return self.run(self._client.request(method, path, **options))

    def get(self, path, **options):
        """Send one GET request."""
        return self.request("GET", path, **options)

    def post(self, path, **options):
        """Send one POST request."""
        return self.request("POST", path, **options)

    def at_once(self, *requests):
        """Send requests, each (method, path, JSON or None), all at the same time; the statuses."""

        async def gather():
            calls = (
                self._client.request(method, path, json=content)
                for method, path, content in requests
            )
            return [answer.status_code for answer in await asyncio.gather(*calls)]

        return self.run(gather())

    def websocket(self, path):
        """Open a WebSocket."""
        return Conversation(self, path)

    def hang_up_on(self, path, chunks=1, asgi="2.3"):
        """Read so many chunks of a response, and disconnect; returns the chunks.

        Before ASGI 2.4 the application is told by a message, from then on by an OSError.
        """
        read, enough = [], asyncio.Event()
        requests = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            if requests:
                return requests.pop()
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if enough.is_set() and asgi >= "2.4":
                raise OSError("the client is gone")
            if message.get("body"):
                read.append(message["body"])
            if len(read) >= chunks:
                enough.set()
                await asyncio.sleep(0)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": asgi},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [],
        }
        task = self.start(scope, receive, send)
        self.run(asyncio.wait([task]))
        return read[:chunks]

    @contextmanager
    def lifespan(self):
        """Have the application start up, and shut down at the end."""
        inbox, outbox = asyncio.Queue(), asyncio.Queue()
        task = self.start({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, outbox.put)
        for phase in ("startup", "shutdown"):
            inbox.put_nowait({"type": f"lifespan.{phase}"})
            answer = self.run(outbox.get())
            assert answer["type"] == f"lifespan.{phase}.complete", json.dumps(answer)
            if phase == "startup":
                yield
        self.run(task)


@pytest.fixture
def visit(watch):
    """Install the watch into an application, start it and hand out a client of it."""

    @contextmanager
    def visit(app):
        sessionwatch.install(app, watch=watch)
        with asyncio.Runner() as runner:
            visitor = Visitor(app, runner)
            with visitor.lifespan():
                yield visitor
            runner.run(asyncio.sleep(0))

    return visit


@pytest.fixture
def before_response():
    """The options of `Depends` that have a dependency's exit run before the response is sent."""
    from fastapi import Depends

    if "scope" in signature(Depends).parameters:
        return {"scope": "function"}
    if tuple(map(int, version("fastapi").split(".")[:2])) >= (0, 118):
        pytest.skip("this FastAPI always answers first, and has no scopes yet")
    return {}
