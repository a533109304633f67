"""A thousand requests under each variant: the totals are what the sessions' own class counted."""

import asyncio
import gc
import itertools
import json
import threading
from collections import Counter

import pytest
from anyio import to_thread
from fastapi.exceptions import ResponseValidationError
from sqlalchemy import create_engine, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

import sessionwatch
from demo_app.application import create_variant_app
from demo_app.database import enforce_foreign_keys
from demo_app.models import create_tables, seed
from demo_app.variants import VARIANTS

REQUESTS = 1000
WARM_UP = 200
NO_WAIT_FOR_THE_DISK = "PRAGMA synchronous = OFF"
WITHOUT_A_CONNECTION = REQUESTS // 10
"""Requests to /items/, whose session is committed without ever having met the database."""
ROUTES = (
    ("GET", "/burst/good"),
    ("POST", "/orders"),
    ("GET", "/items/"),
    ("POST", "/orders/handler-commits"),
    ("GET", "/burst/good"),
    ("POST", "/orders/http-exception"),
    ("POST", "/orders/unhandled"),
    ("POST", "/orders/bad-response"),
    ("GET", "/items/all"),
    ("POST", "/transfer/swallowed"),
)


@pytest.fixture
def tally():
    return Counter()


@pytest.fixture
def create_session(tmp_path, tally):
    lock = threading.Lock()

    class CountingSession(Session):
        """Counts for itself, in its own methods, with nothing of sessionwatch."""

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self._is_closed = False
            self._count("opened")

        def commit(self):
            super().commit()
            self._count("committed")

        def rollback(self):
            had_a_transaction = self.in_transaction()
            super().rollback()
            if had_a_transaction:
                self._count("rolled_back")

        def close(self):
            super().close()
            if not self._is_closed:
                self._is_closed = True
                self._count("closed")

        def _count(self, what):
            with lock:
                tally[what] += 1

    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    enforce_foreign_keys(engine)
    event.listen(engine, "connect", lambda connection, _: connection.execute(NO_WAIT_FOR_THE_DISK))
    create_tables(engine)
    with engine.begin() as connection:
        seed(connection)
    for name in ("commit", "rollback"):
        event.listen(engine, name, lambda connection, name=name: tally.update([f"engine {name}"]))
    yield sessionmaker(engine, class_=CountingSession)
    engine.dispose()


async def drive(app, pool, numbers) -> Counter:
    """Send requests one after the other; collect what leaked, as a leak holds SQLite's lock.

    An idle worker thread keeps what it was last called with, a leaked session's frames among it:
    so it is that thread which collects.
    """
    statuses = Counter()
    for number in numbers:
        method, path = ROUTES[number % len(ROUTES)]
        status = await send(app, method, path, {"reference": f"r-{number}"})
        statuses[status] += 1
        if pool.checkedout():
            await to_thread.run_sync(gc.collect)
    return statuses


async def send(app, method: str, path: str, body: dict) -> int:
    content = json.dumps(body).encode()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"test"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 80),
        "asgi": {"version": "3.0"},
    }
    status = []

    async def receive():
        return {"type": "http.request", "body": content, "more_body": False}

    async def note(message):
        if message["type"] == "http.response.start":
            status.append(message["status"])

    try:
        await app(scope, receive, note)
    except (RuntimeError, ValueError, ResponseValidationError, IntegrityError):
        assert status == [500]
    return status[0]


def records_alive() -> int:
    """Count records once the worker threads have ended: the last call of each holds its owner.

    anyio tells its workers to stop when their event loop ends, and does not wait for them.
    """
    for thread in threading.enumerate():
        if thread.name.startswith("AnyIO worker thread"):
            thread.join(timeout=10)
            assert not thread.is_alive()
    gc.collect()
    return sum(
        type(each).__module__.startswith("sessionwatch.records") for each in gc.get_objects()
    )


# BaseHTTPMiddleware of Starlette 0.38 leaves a stream of its own open when the handler fails.
@pytest.mark.filterwarnings("ignore:Unclosed <MemoryObjectReceiveStream:ResourceWarning")
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key)
def test_totals_and_memory(variant, create_session, tally):
    app = create_variant_app(variant, create_session)
    watch = sessionwatch.install(app, sessionwatch.Settings(log_findings=False))
    pool = create_session.kw["bind"].pool
    gc.collect()
    gc.freeze()
    try:
        statuses = asyncio.run(drive(app, pool, range(WARM_UP)))
        alive_after_warm_up = records_alive()
        statuses += asyncio.run(drive(app, pool, range(WARM_UP, REQUESTS)))
        alive_at_the_end = records_alive()
        totals = watch.snapshot().to_dict()["totals"]
    finally:
        gc.unfreeze()
        watch.stop()

    assert statuses.total() == REQUESTS
    assert totals["owners"] == REQUESTS
    counted = {name: totals[name] for name in ("opened", "closed", "committed", "rolled_back")}
    if variant.key == "begin":  # its context manager calls no method of the session's
        assert counted.pop("committed") == tally["engine commit"] + WITHOUT_A_CONNECTION
        assert counted.pop("rolled_back") == tally["engine rollback"]
    assert counted == {name: tally[name] for name in counted}
    assert totals["opened"] == totals["closed"] + totals["collected"]
    assert totals["open"] == 0
    assert totals["checkouts"] == totals["checkins"]
    assert watch.snapshot().internal_errors["count"] == 0
    assert alive_at_the_end <= alive_after_warm_up


def test_every_route_is_asked_as_often():
    per_route = Counter(path for _, path in itertools.islice(itertools.cycle(ROUTES), REQUESTS))
    assert set(per_route.values()) == {REQUESTS // 10, REQUESTS // 5}
