"""SW304 external-io-in-transaction."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings
from sessionwatch.instruments.outbound import _CLIENTS, _begun, _patches_of_clients

ONE = select(1)
OPTED_IN = Settings(extend_select=("SW304",))


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an HTTP server of somebody else's, with a secret in its query."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/charges?key=hush"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def watch(make_watch) -> SessionWatch:
    return make_watch(OPTED_IN)


def _with_urllib(url):
    urllib.request.urlopen(url, timeout=10).close()


def _with_http_client(url):
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=10)
    connection.request("GET", "/charges?key=hush")
    connection.getresponse().read()
    connection.close()


def _with_httpx(url):
    import httpx

    with httpx.Client(trust_env=False) as client:
        client.get(url)


def _with_httpx2(url):
    import httpx2

    with httpx2.Client(trust_env=False) as client:
        client.get(url)


def _with_requests(url):
    import requests

    with requests.Session() as session:
        session.get(url, timeout=10)


def _with_urllib3(url):
    import urllib3

    with urllib3.PoolManager() as manager:
        manager.request("GET", url)


def _if_installed(fetch, package):
    missing = importlib.util.find_spec(package) is None
    return pytest.param(fetch, marks=pytest.mark.skipif(missing, reason=f"no {package}"))


SYNC = [
    _with_urllib,
    _with_http_client,
    _with_httpx,
    _if_installed(_with_httpx2, "httpx2"),
    _if_installed(_with_requests, "requests"),
    _if_installed(_with_urllib3, "urllib3"),
]


async def _async_with_httpx(url):
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url)


async def _async_with_aiohttp(url):
    import aiohttp

    async with aiohttp.ClientSession() as client, client.get(url) as response:
        await response.read()


ASYNC = [_async_with_httpx, _if_installed(_async_with_aiohttp, "aiohttp")]


@pytest.mark.parametrize("fetch", SYNC)
class TestSync:
    def test_call_in_a_transaction(self, watch, seen, make_session, server, fetch):
        with watch.owner("job"), make_session() as session:
            session.execute(ONE)
            fetch(server)
        finding = seen.only_finding("SW304")
        assert (finding["name"], finding["severity"], finding["evidence"]) == (
            "external-io-in-transaction",
            "info",
            "suspect",
        )
        assert finding["details"] == {"host": "127.0.0.1"}
        assert finding["opened_at"]["function"] == fetch.__name__
        assert "job called 127.0.0.1 at tests/rules/test_sw304.py" in finding["message"]
        assert "with the transaction open of the session opened at" in finding["message"]
        assert "hush" not in str(finding)

    def test_twin_has_committed(self, watch, seen, make_session, server, fetch):
        with watch.owner("job"), make_session() as session:
            session.execute(ONE)
            session.commit()
            fetch(server)
        assert seen.codes == []

    def test_twin_calls_first(self, watch, seen, make_session, server, fetch):
        with watch.owner("job"), make_session() as session:
            fetch(server)
            session.execute(ONE)
        assert seen.codes == []


@pytest.mark.parametrize("fetch", ASYNC)
class TestAsync:
    def test_call_in_a_transaction(self, watch, seen, run_async, server, fetch):
        async def body(engine):
            from sqlalchemy.ext.asyncio import AsyncSession

            with watch.owner("job"):
                async with AsyncSession(engine) as session:
                    await session.execute(ONE)
                    await fetch(server)

        run_async(body)
        finding = seen.only_finding("SW304")
        assert finding["opened_at"]["function"] == fetch.__name__
        assert finding["details"] == {"host": "127.0.0.1"}

    def test_twin_in_a_task_beside(self, watch, seen, run_async, server, fetch):
        async def body(engine):
            from sqlalchemy.ext.asyncio import AsyncSession

            async def other(begun, go_on):
                async with AsyncSession(engine) as session:
                    await session.execute(ONE)
                    begun.set()
                    await go_on.wait()

            with watch.owner("job"):
                begun, go_on = asyncio.Event(), asyncio.Event()
                task = asyncio.create_task(other(begun, go_on))
                await begun.wait()
                await fetch(server)
                go_on.set()
                await task

        run_async(body)
        assert seen.codes == []


def test_core_connection(watch, seen, engine, server):
    with watch.owner("job"), engine.connect() as connection:
        connection.execute(ONE)
        _with_urllib(server)
    assert "of the connection checked out at" in seen.only_finding("SW304")["message"]


def test_twin_with_a_core_connection(watch, seen, engine, server):
    with watch.owner("job"), engine.connect() as connection:
        connection.execute(ONE)
        connection.rollback()
        _with_urllib(server)
    assert seen.codes == []


@pytest.mark.parametrize("is_async", [False, True])
def test_session_of_a_sync_dependency(watch, seen, call, make_session, server, is_async):
    """A request hops between threads and its task: the transaction is its own all the same."""
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)

    def get_db():
        with make_session() as session:
            session.execute(ONE)
            yield session

    def fetch_sync(db: Session = Depends(get_db)):
        _with_httpx(server)

    async def fetch_async(db: Session = Depends(get_db)):
        await _async_with_httpx(server)

    app.get("/items")(fetch_async if is_async else fetch_sync)
    assert call(app, "/items").status_code == 200
    assert seen.only_finding("SW304")["owner"]["route"] == "GET /items"


class TestSilent:
    def test_unless_it_is_asked_for(self, make_watch, read, make_session, server):
        before = http.client.HTTPConnection.putrequest
        watch = make_watch()
        assert http.client.HTTPConnection.putrequest is before
        with watch.owner("job"), make_session() as session:
            session.execute(ONE)
            _with_urllib(server)
        assert read(watch).codes == []

    def test_for_a_watch_that_has_not_asked(self, watch, make_watch, read, make_session, server):
        other = make_watch()
        with other.owner("job"), make_session() as session:
            session.execute(ONE)
            _with_urllib(server)
        assert read(other).codes == read(watch).codes == []

    def test_application_in_this_process(self, watch, seen, make_session, call):
        """An ASGI application under test is nobody else's server."""

        async def application(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        with watch.owner("test_items", kind="test"), make_session() as session:
            session.execute(ONE)
            call(application)
        assert seen.codes == []

    def test_another_thread_of_the_process(self, watch, seen, make_session, server):
        with make_session() as session:
            session.execute(ONE)
            thread = threading.Thread(target=_with_urllib, args=(server,))
            thread.start()
            thread.join(30)
        assert seen.codes == []

    def test_transaction_of_another_owner(self, watch, seen, make_session, server):
        with make_session() as session:
            session.execute(ONE)
            with watch.owner("job"):
                _with_urllib(server)
        assert seen.codes == []

    def test_autocommit(self, watch, seen, make_engine, server):
        engine = make_engine(isolation_level="AUTOCOMMIT")
        with watch.owner("job"), Session(engine) as session:
            session.execute(ONE)
            _with_urllib(server)
        assert seen.codes == []


class TestPatches:
    @staticmethod
    def _methods():
        return {
            (patch._owner, patch._name): patch._owner.__dict__[patch._name]
            for patch in _patches_of_clients()
        } | {(Connection, "begin"): Connection.__dict__["begin"]}

    def test_every_installed_client_is_wrapped_and_put_back(self):
        before = self._methods()
        assert len(before) >= 4
        watches = [SessionWatch(OPTED_IN).start(), SessionWatch(OPTED_IN).start()]
        wrapped = self._methods()
        assert all(wrapped[key] is not before[key] for key in before)
        watches[0].stop()
        assert self._methods() == wrapped
        watches[1].stop()
        assert self._methods() == before

    def test_started_beside_a_watch_that_has_not_asked(self):
        before = self._methods()
        with SessionWatch():
            with SessionWatch(OPTED_IN):
                assert self._methods() != before
            assert self._methods() == before

    def test_transactions_are_forgotten(self, engine):
        with SessionWatch(OPTED_IN):
            connection = engine.connect()
            connection.execute(ONE)
            assert len(_begun) == 1
            connection.close()
            del connection
            assert _begun == {}

    def test_clients_are_named_right(self):
        """A name that is misspelt would be left out without a word."""
        for module, name, method, _ in _CLIENTS:
            try:
                package = importlib.import_module(module)
            except ImportError:
                continue
            assert method in vars(getattr(package, name))
