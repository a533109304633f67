"""What a watch does to memory when everything that can be named has another name each time.

    python -m benchmarks.cardinality [KIND] [--number N] [--bare]

Does that many turns of a kind (a million of `paths` by default), and prints the memory of the
process (resident, in megabytes; Linux) ten times on the way:

paths       requests for a catch-all route, each for another path and with another SQL text
unmatched   requests that no route matches, each for another path and by another method
websockets  WebSockets, each on another path
mounts      requests for an application that is mounted at another path each time
jobs        jobs, each of another name, each of which leaks its session
engines     requests that each create an engine of another URL, a sessionmaker and a Session class
code        requests whose session is opened by code, of a file, that nobody has seen before
errors      requests that each raise another class of exception
open        sessions that outlive their request and are never closed, for as long as memory lasts
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import click
from fastapi import FastAPI, WebSocket
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings

Turn = Callable[[int], Awaitable[None]]
STEPS = 10
_CODE = (
    "def read(create_session, look):\n    with create_session() as session:\n        look(session)"
)


class _Shop:
    """An application that opens a session in every way that is asked for."""

    def __init__(self, watch: SessionWatch | None) -> None:
        self.engine = _engine("sqlite://")
        self.create_session = sessionmaker(self.engine)
        self.watch = watch
        self.open: list[Session] = []
        self.app = FastAPI(openapi_url=None)
        self.app.mount("/of/{tenant}", _mounted(self))
        for path, handle in (
            ("/engines/{number}", self._create_engine),
            ("/code/{number}", self._run_new_code),
            ("/errors/{number}", self._fail),
            ("/open", self._leave_open),
        ):
            self.app.add_api_route(path, handle, methods=["GET"])
        self.app.add_api_websocket_route("/{path:path}", self._talk)
        self.app.add_api_route("/paths/{path:path}", self._read, methods=["GET"])
        if watch is not None:
            self.app.add_middleware(SessionWatchMiddleware, watch=watch)

    async def _read(self, path: str) -> int:
        with self.create_session() as session:
            return len(session.execute(text(f"SELECT {_number(path)} AS c{_number(path)}")).all())

    async def _talk(self, websocket: WebSocket, path: str) -> None:
        await websocket.accept()
        await self._read(path)
        await websocket.close()

    async def _create_engine(self, number: int) -> None:
        engine = _engine(f"sqlite:///file:m{number}?mode=memory&uri=true")
        with sessionmaker(engine, class_=type(f"Session{number}", (Session,), {}))() as session:
            _look(session)
        engine.dispose()

    async def _run_new_code(self, number: int) -> None:
        made: dict[str, Any] = {}
        exec(compile(_CODE, f"/made/up/{number}.py", "exec"), made)  # noqa: S102
        made["read"](self.create_session, _look)

    async def _fail(self, number: int) -> None:
        with self.create_session() as session:
            _look(session)
            raise type(f"Error{number}", (RuntimeError,), {})

    async def _leave_open(self) -> None:
        self.open.append(self.create_session())

    async def ask(self, path: str, method: str = "GET") -> None:
        with suppress(RuntimeError):
            await self.app(_scope("http", path, method), _receive, _send)

    async def connect(self, path: str) -> None:
        received = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])

        async def receive() -> Any:
            return next(received)

        await self.app(_scope("websocket", path, "GET"), receive, _send)

    async def work(self, number: int) -> None:
        with self.watch.owner(f"job {number}") if self.watch is not None else nullcontext():
            session = self.create_session()
            _look(session)
        session.close()


def _mounted(shop: _Shop) -> FastAPI:
    inner = FastAPI(openapi_url=None)

    @inner.get("/items/{number}")
    async def read(number: int) -> int:
        return await shop._read(str(number))

    return inner


def turns_of(kind: str, watch: SessionWatch | None) -> Turn:
    """Return what does one turn of a kind; raise `KeyError` for one that there is not."""
    shop = _Shop(watch)
    turns: dict[str, Turn] = {
        "paths": lambda number: shop.ask(f"/paths/{number}/{number}"),
        "unmatched": lambda number: shop.ask(f"/nowhere/{number}", f"GET{number}"),
        "websockets": lambda number: shop.connect(f"/talk/{number}"),
        "mounts": lambda number: shop.ask(f"/of/tenant-{number}/items/{number}"),
        "jobs": shop.work,
        "engines": lambda number: shop.ask(f"/engines/{number}"),
        "code": lambda number: shop.ask(f"/code/{number}"),
        "errors": lambda number: shop.ask(f"/errors/{number}"),
        "open": lambda number: shop.ask("/open"),
    }
    return turns[kind]


QUERIES_CACHED = 100
KINDS = ("paths", "unmatched", "websockets", "mounts", "jobs", "engines", "code", "errors", "open")


def _engine(url: str) -> Any:
    return create_engine(
        url,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        query_cache_size=QUERIES_CACHED,
    )


def _look(session: Session) -> None:
    session.execute(text("SELECT 1")).all()


def _number(path: str) -> str:
    return path.rpartition("/")[2]


def _scope(kind: str, path: str, method: str) -> dict[str, Any]:
    return {
        "type": kind,
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"bench")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "asgi": {"version": "3.0"},
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:
    pass


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(kind: str, number: int, watch: SessionWatch | None) -> None:
    """Do all turns, and print the memory now and then."""
    turn, begun = turns_of(kind, watch), time.monotonic()
    for each in range(1, number + 1):
        await turn(each)
        if each % max(1, number // STEPS) == 0:
            seconds = time.monotonic() - begun
            print(f"{each:>9} {kind}: {_resident_megabytes():7.1f} MB {seconds:6.0f} s", flush=True)
    if watch is not None:
        snapshot = watch.snapshot()
        dropped = {name: count for name, count in snapshot.dropped.items() if count}
        print(f"{len(snapshot.routes)} routes, {len(snapshot.findings)} findings")
        print(f"dropped {dropped}, internal errors {snapshot.internal_errors}")


@click.command()
@click.argument("kind", type=click.Choice(KINDS), default="paths")
@click.option("--number", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--bare", is_flag=True, help="Without sessionwatch, to compare with.")
def main(kind: str, number: int, bare: bool) -> None:
    """Show that memory is flat whatever has a new name each time."""
    watch = None if bare else SessionWatch(Settings(log_findings=False)).start()
    asyncio.run(measure(kind, number, watch))


if __name__ == "__main__":
    main()
