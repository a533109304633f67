"""The hooks at the edges are made to raise in turn; the application must not notice."""

from __future__ import annotations

import asyncio
import inspect
import urllib.error
import urllib.request
from contextlib import suppress

import pytest
from sqlalchemy import create_engine, event, select

from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings
from sessionwatch.instruments import blocking, detached, engines, outbound, shutdown, threads
from sessionwatch.records.owner import Owner

pytestmark = pytest.mark.usefixtures("expects_internal_errors")

ONE = select(1)
MODULES = (blocking, detached, engines, outbound, shutdown, threads)
NOWHERE = "http://127.0.0.1:9/"


def _cells():
    for module in MODULES:
        for name, function in vars(module).items():
            if inspect.isfunction(function) and "hook" in function.__code__.co_freevars:
                cell = dict(
                    zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
                )["hook"]
                if cell.cell_contents.__module__ == module.__name__:
                    yield name, cell


HOOKS = dict(_cells())


@pytest.fixture
def broken(hook):
    """Make one hook raise whenever it is called."""
    cell = HOOKS[hook]
    original = cell.cell_contents

    def raises(*arguments):
        raise ZeroDivisionError("ours")

    raises.__name__ = original.__name__
    cell.cell_contents = raises
    yield original.__name__
    cell.cell_contents = original


def _use(watch, engine, url):
    """Serve a start, a request that does all that is told of, and a shutdown; returns the sent."""

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        create_engine(url).dispose()
        with engine.connect() as connection:
            connection.execute(ONE)
            with suppress(urllib.error.URLError):
                urllib.request.urlopen(NOWHERE, timeout=1)
            scope["sessionwatch.owner"].waited_for = next(holds_pools())
        raise LookupError("application's own")

    app = SessionWatchMiddleware(application, watch)
    sent = []

    async def main():
        waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive():
            if len(waiting) == 1:
                scope = {"type": "http", "method": "GET", "path": "/"}
                with pytest.raises(LookupError, match="application's own"):
                    await app(scope, None, None)
            return waiting.pop(0)

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan"}, receive, send)

    asyncio.run(main())
    return sent


def holds_pools():
    from sessionwatch.instruments.holds import pool_records

    return pool_records()


def test_the_hooks_were_found():
    assert set(HOOKS) == {
        "worked_long",
        "error_left",
        "engine_made",
        "transaction_begun",
        "call_goes_out",
        "shut_down",
        "checkout_waited",
    }
    assert Owner.__slots__.count("waited_for") == 1


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_that_raises(broken, engine, database_path, clock, read, log):
    @event.listens_for(engine, "before_cursor_execute")
    def pass_time(*arguments):
        clock.advance(1)

    settings = Settings(extend_select=("SW304",))
    with SessionWatch(settings, clock=clock, wall_clock=clock.wall) as watch:
        sent = _use(watch, engine, f"sqlite:///{database_path}")
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        errors = read(watch).snapshot.internal_errors
    assert set(errors["by_hook"]) == {broken}
    assert engine.pool.checkedout() == 0
    assert (
        len([record for record in log.records if "sessionwatch failed" in record.getMessage()]) == 1
    )
    assert watch.active_owners() == 0


def test_nothing_fails_when_no_hook_is_broken(engine, database_path, clock, read):
    settings = Settings(extend_select=("SW304",))
    with SessionWatch(settings, clock=clock, wall_clock=clock.wall) as watch:
        _use(watch, engine, f"sqlite:///{database_path}")
        assert read(watch).snapshot.internal_errors == {"count": 0, "by_hook": {}}
        assert set(read(watch).codes) >= {"SW304", "SW504"}
