"""A real uvicorn server, and the shop opened on it under any variant."""

from __future__ import annotations

import asyncio
import gc
import socket
import sqlite3
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from demo_app.application import create_variant_app
from demo_app.database import enforce_foreign_keys
from demo_app.models import create_tables, seed
from demo_app.variants import Variant

PATIENCE_SECONDS = 20
COLLECTIONS = 10
REFERENCE = "the-order"
SAID_BY_THE_COLLECTOR = "garbage collector is trying to clean up non-checked-in connection"
LEFT_BY_STARLETTE = "Unclosed <MemoryObjectReceiveStream"
"""BaseHTTPMiddleware of Starlette 0.38 leaves a stream of its own open when the handler fails."""
"""BaseHTTPMiddleware of Starlette 0.38 leaves a stream of its own open when the handler fails."""


class Server:
    """uvicorn in a thread; `application` may be exchanged between two requests."""

    def __init__(self) -> None:
        self.application: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way = 0
        self._ended = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", 0))
        host, port = self._socket.getsockname()
        self._client = httpx.Client(
            base_url=f"http://{host}:{port}", timeout=PATIENCE_SECONDS, trust_env=False
        )
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            ws="none",
            # What pytest keeps of a logged exception keeps the session in its frames alive, too.
            log_level="critical",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def start(self) -> None:
        """Serve from now on; the socket listens already, so that nobody has to wait."""
        self._thread.start()

    def stop(self) -> None:
        """End the server and its thread."""
        self._client.close()
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        self._socket.close()
        assert not self._thread.is_alive()

    def post(self, path: str, json: dict[str, Any]) -> int:
        """Return the status that the client is told, once the application is done as well."""
        answer = self._client.post(path, json=json)
        self._wait_until_idle()
        return answer.status_code

    def leave_in_mid_stream(self, path: str) -> None:
        """Read the first chunk and go away; return once the application is done as well."""
        with self._client.stream("GET", path) as answer:
            next(answer.iter_raw())
        self._wait_until_idle()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what `work` returns in the server's event loop, between two of its steps."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def _wait_until_idle(self) -> None:
        with self._ended:
            assert self._ended.wait_for(lambda: not self._under_way, PATIENCE_SECONDS)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._under_way += 1
        try:
            await self.application(scope, receive, send)
        finally:
            with self._ended:
                self._under_way -= 1
                self._ended.notify_all()


class Seen(NamedTuple):
    """What one request leaves behind."""

    calls: str
    """The methods of its session that were called, in order."""
    out: int
    """Connections still checked out when the application is done, with no garbage collected."""
    orders: int
    """Rows that are in the database."""


class TalliedSession(Session):
    """Notes what is called on it in the list that its factory gave it."""

    def commit(self) -> None:
        self.info["calls"].append("commit")
        super().commit()

    def rollback(self) -> None:
        self.info["calls"].append("rollback")
        super().rollback()

    def close(self) -> None:
        self.info["calls"].append("close")
        super().close()


class Shop:
    """The demo app under one variant, with an engine and a database file of its own."""

    def __init__(self, server: Server, path: Path, variant: Variant) -> None:
        self._server = server
        self._path = path
        self._async_drivers: list[Any] = []
        self._calls: list[str] = []
        open_engine = self._open_async if variant.is_async else self._open_sync
        self._engine, create_session = open_engine()
        self._sync_engine = getattr(self._engine, "sync_engine", self._engine)
        enforce_foreign_keys(self._sync_engine)
        server.application = create_variant_app(variant, create_session)

    def _open_sync(self) -> tuple[Any, Any]:
        engine = create_engine(f"sqlite:///{self._path}")
        return engine, sessionmaker(engine, class_=TalliedSession, info={"calls": self._calls})

    def _open_async(self) -> tuple[Any, Any]:
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

        engine = create_async_engine(f"sqlite+aiosqlite:///{self._path}")
        event.listen(engine.sync_engine, "connect", self._note_driver)
        options: Any = {"sync_session_class": TalliedSession, "info": {"calls": self._calls}}
        return engine, async_sessionmaker(engine, **options)

    def ask_at_once(self, path: str, json: dict[str, Any], count: int) -> list[int]:
        """Send the same request `count` times at the same time; return the statuses told."""
        with ThreadPoolExecutor(count) as clients:
            return list(clients.map(lambda _: self._server.post(path, json), range(count)))

    def leave_in_mid_stream(self) -> str:
        """Begin to read the endless stream and go away; return what was called."""
        self._server.leave_in_mid_stream(f"/orders/stream-forever?reference={REFERENCE}")
        return " ".join(self._calls)

    def _note_driver(self, connection: Any, record: Any) -> None:
        self._async_drivers.append(connection.driver_connection)

    def ask(self, path: str) -> tuple[int, Seen]:
        """Place one order; return the status that the client was told and what is left behind."""
        status = self._server.post(path, json={"reference": REFERENCE})
        return status, Seen(" ".join(self._calls), self.out(), self._orders())

    def out(self) -> int:
        """Connections that are checked out now."""
        return self._sync_engine.pool.checkedout()

    def occupy_drivers(self) -> None:
        """Give the threads of aiosqlite something else to do than what they did last."""
        self._server.run(self._occupy_drivers())

    async def _occupy_drivers(self) -> None:
        for connection in self._async_drivers:
            async with connection.execute("SELECT 1"):
                pass

    def close(self) -> None:
        """Close the connections; those of an async engine in the loop that opened them."""
        disposing = self._engine.dispose()
        if disposing is not None:
            self._server.run(disposing)

    def collect_garbage(self) -> list[str]:
        """Collect, and return what SQLAlchemy says about connections that it finds that way."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._server.run(self._collect())
        said = [
            message
            for message in (str(warning.message) for warning in caught)
            if not message.startswith(LEFT_BY_STARLETTE)
        ]
        assert all(SAID_BY_THE_COLLECTOR in message for message in said), said
        return said

    async def _collect(self) -> None:
        """Collect; again as long as a worker thread holds on to the request it has just served."""
        for _ in range(COLLECTIONS):
            gc.collect()
            if not self.out():
                return
            await asyncio.sleep(0.01)

    def _orders(self) -> int:
        return self.read("SELECT count(*) FROM orders")[0][0]

    def read(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that a connection of the test's own reads."""
        connection = sqlite3.connect(self._path)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A real uvicorn server on a port of its own."""
    server = Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database that has the tables and the first rows."""
    path = tmp_path_factory.mktemp("stocked") / "shop.db"
    engine = create_engine(f"sqlite:///{path}")
    create_tables(engine)
    with engine.begin() as connection:
        seed(connection)
    engine.dispose()
    return path.read_bytes()


@pytest.fixture
def paused_collector() -> Iterator[None]:
    """Have garbage collected only when told to: what is out is no matter of luck then."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def open_shop(
    server: Server, tmp_path: Path, stocked: bytes, paused_collector: None
) -> Iterator[Callable[..., Shop]]:
    """Open the shop under a variant, on the server."""
    path = tmp_path / "shop.db"
    path.write_bytes(stocked)
    shops: list[Shop] = []

    def open_shop(variant: Variant) -> Shop:
        shops.append(Shop(server, path, variant))
        return shops[-1]

    yield open_shop
    for shop in shops:
        shop.close()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", LEFT_BY_STARLETTE, ResourceWarning)
        gc.collect()
