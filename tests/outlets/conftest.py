"""A service that does everything wrong with secrets, and what the outlets tell of it."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse
from sqlalchemy import create_engine, event, insert, literal_column, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateTable

import sessionwatch
from sessionwatch import SessionWatch, Settings

EVERYTHING: dict[str, Any] = {
    "extend_select": ["SW304"],
    "loop_blocked_seconds": 1e-6,
    "idle_hold_seconds": 1e-6,
    "stacks": "full",
    "timelines": "all",
}
"""As many rules as can speak, and as much as they can say."""

Outlet = Callable[[SessionWatch, FastAPI, str], str | Awaitable[str]]
"""Tells what comes out somewhere, of a watch, its application and what was logged."""


class Secrets(dict[str, str]):
    """A text of its own for each place that one is planted in, made when it is asked for."""

    def __missing__(self, place: str) -> str:
        self[place] = f"hush{len(self):03}{place.replace(' ', '')}"
        return self[place]

    def number(self, place: str) -> int:
        """Return one that is made of digits."""
        self[place] = f"90210{len(self):03}55"
        return int(self[place])

    def found_in(self, text: str) -> list[str]:
        """Return the places whose secret a text gives away."""
        return [place for place, secret in self.items() if secret in text]


@pytest.fixture(scope="module")
def misuse(models: Any) -> Callable[..., SimpleNamespace]:
    """Run the service on a `sync` or `async` engine while it is watched, and read the outlets.

    Returns `texts` by the outlets' names, the `secrets` that were planted, the `codes` found, and
    the count of `internal_errors`.
    """

    def run(kind: str, outlets: dict[str, Outlet], **settings: Any) -> SimpleNamespace:
        if kind == "async":
            pytest.importorskip("aiosqlite")
        with ExitStack() as stack, logged() as log:
            service = Service(models, stack, kind)
            watch = sessionwatch.install(service.app, Settings(**{**EVERYTHING, **settings}))
            stack.callback(watch.stop)
            return asyncio.run(service.misuse(watch, outlets, log))

    return run


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Collect whatever sessionwatch logs, as a file would have it."""
    written = io.StringIO()
    handler, logger = logging.StreamHandler(written), logging.getLogger("sessionwatch")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class Service:
    """Its handlers leak, lose and fail, with a secret in every value that they handle."""

    def __init__(self, models: Any, stack: ExitStack, kind: str) -> None:
        self.Item, self.stack, self.kind = models.Item, stack, kind
        self.secrets = Secrets()
        self.kept: list[Any] = []
        self.numbers = count(1)
        self.app = FastAPI()
        self.make_session: Callable[[], Any] = sessionmaker(self.engine(pool_size=30))
        self.make_sync = sessionmaker(self.engine())
        self.make_small = sessionmaker(self.engine(pool_size=1, max_overflow=0, pool_timeout=0.01))
        add_routes(self)

    def engine(self, **options: Any) -> Any:
        """Make an engine whose every connection has a database of its own, so that none locks."""
        engine = create_engine(
            "sqlite://", poolclass=QueuePool, connect_args={"check_same_thread": False}, **options
        )
        event.listen(engine, "connect", self._create_table)
        self.stack.callback(engine.dispose)
        return engine

    def _create_table(self, connection: Any, entry: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(str(CreateTable(self.Item.__table__)))
        cursor.close()

    async def misuse(self, watch: SessionWatch, outlets: Any, log: io.StringIO) -> SimpleNamespace:
        async_engine = self._turn_async() if self.kind == "async" else None
        try:
            await self._send_requests()
            await self._send_by_websocket()
            with suppress(ValueError), watch.owner("nightly import"):
                await self.run(self.make_session(), self.write)
                raise ValueError(self.secrets["exception of a job"])
            gc.collect()
            watch.inspect_connections()
            return await self._read(watch, outlets, log)
        finally:
            for session in self.kept:
                closing = session.close()
                if closing is not None:
                    await closing
            if async_engine is not None:
                await async_engine.dispose()

    def _turn_async(self) -> Any:
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from sqlalchemy.pool import AsyncAdaptedQueuePool

        engine = create_async_engine(
            "sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool, pool_size=30
        )
        event.listen(engine.sync_engine, "connect", self._create_table)
        self.make_session = async_sessionmaker(engine)
        return engine

    async def _read(self, watch: SessionWatch, outlets: Any, log: io.StringIO) -> SimpleNamespace:
        texts = {}
        for name, outlet in outlets.items():
            told = outlet(watch, self.app, log.getvalue())
            texts[name] = told if isinstance(told, str) else await told
        snapshot = watch.snapshot()
        return SimpleNamespace(
            texts=texts,
            secrets=self.secrets,
            codes={finding["code"] for finding in snapshot.findings},
            statements=[each["last_statement"] for each in snapshot.open_sessions],
            internal_errors=snapshot.internal_errors["count"],
        )

    async def run(self, db: Any, work: Callable[[Session], Any]) -> Any:
        """Have a session, of whichever kind, work; it is kept from the garbage collector."""
        self.kept.append(db)
        return await db.run_sync(work) if self.kind == "async" else work(db)

    def write(self, db: Session) -> None:
        """Write one row more."""
        name = f"{self.secrets['value']}{next(self.numbers)}"
        db.execute(insert(self.Item).values(name=name))

    async def _send_requests(self) -> None:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        secrets = self.secrets
        headers = {
            "Authorization": f"Bearer {secrets['authorization']}",
            "Cookie": f"session={secrets['cookie']}",
            "Referer": f"https://example.org/{secrets['referer']}",
            "User-Agent": secrets["user agent"],
            "X-Api-Key": secrets["header"],
        }
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as client:
            for name in (*WORKS, "detached", "nested", "exhaust", "engines", "call", "no/route"):
                path = f"/{name}/{secrets[f'path of {name}']}?q={secrets[f'query of {name}']}"
                await client.post(path, json={"card": secrets[f"json of {name}"]})
                await client.post(path, data={"card": secrets[f"form of {name}"]})
            await client.get(f"/files/{secrets['path of a file']}")
            await client.get(f"/tenants/{secrets['tenant']}/{secrets['path of a tenant']}")

    async def _send_by_websocket(self) -> None:
        """Speak ASGI by hand: what the application answers does not matter here."""
        heard = iter(
            [
                {"type": "websocket.connect"},
                {"type": "websocket.receive", "text": self.secrets["message"]},
                {"type": "websocket.disconnect", "code": 1000},
            ]
        )
        scope = {
            "type": "websocket",
            "path": f"/socket/{self.secrets['path of a websocket']}",
            "raw_path": b"",
            "root_path": "",
            "scheme": "ws",
            "query_string": self.secrets["query of a websocket"].encode(),
            "headers": [(b"cookie", self.secrets["cookie of a websocket"].encode())],
            "subprotocols": [self.secrets["subprotocol"]],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 80),
        }

        async def receive() -> Any:
            return next(heard)

        async def send(message: Any) -> None:
            pass

        with suppress(ValueError):
            await self.app(scope, receive, send)


def _leak(service: Service, db: Session, given: str) -> None:
    service.write(db)
    literal = service.secrets["literal"]
    db.execute(
        text(
            f"SELECT id /* {service.secrets['comment']} */ FROM item "
            f"WHERE name = '{literal}' OR name = :name OR id = {service.secrets.number('digits')}"
        ),
        {"name": given},
    )
    raise HTTPException(404, service.secrets["detail"])


def _look_up_a_literal(service: Service, db: Session, given: str) -> None:
    literal = service.secrets["literal column"]
    db.execute(select(literal_column(f"'{literal}'")).where(service.Item.name.in_([given])))
    raise HTTPException(404, service.secrets["detail"])


def _save_half(service: Service, db: Session, given: str) -> None:
    service.write(db)
    db.commit()
    service.write(db)
    raise ValueError(service.secrets["exception"])


def _save_twice(service: Service, db: Session, given: str) -> None:
    for _ in range(2):
        service.write(db)
        db.commit()


def _lose(service: Service, db: Session, given: str) -> None:
    service.write(db)


def _refuse(service: Service, db: Session, given: str) -> None:
    """Two failures in one: a value that is there already, and a session that goes on."""
    db.add_all([service.Item(name=given), service.Item(name=given)])
    with suppress(SQLAlchemyError):
        db.flush()
    db.execute(select(service.Item).where(service.Item.name == given))


def _refuse_many(service: Service, db: Session, given: str) -> None:
    rows = [{"name": service.secrets["one of many"]}] * 3
    try:
        db.connection().exec_driver_sql("INSERT INTO item (name) VALUES (:name)", rows)
    except SQLAlchemyError as error:
        raise RuntimeError(service.secrets["exception that has a cause"]) from error


def _swallow(service: Service, db: Session, given: str) -> Any:
    service.write(db)
    db.info["commit"] = True
    return JSONResponse({"detail": service.secrets["answer"]}, 500)


WORKS: dict[str, Callable[[Service, Session, str], Any]] = {
    "leak": _leak,
    "literal": _look_up_a_literal,
    "half": _save_half,
    "twice": _save_twice,
    "lose": _lose,
    "refuse": _refuse,
    "many": _refuse_many,
    "swallow": _swallow,
}
"""What the handler of `/{name}/{given}` does with its session."""


def add_routes(service: Service) -> None:
    """Give the service its handlers; `get_db` leaks whenever one of them raises."""
    app, secrets = service.app, service.secrets

    async def get_db() -> Any:
        db = service.make_session()
        yield db
        if db.info.get("commit"):
            await service.run(db, Session.commit)
        closing = db.close()
        if closing is not None:
            await closing

    def add(name: str, work: Callable[[Service, Session, str], Any]) -> None:
        @app.post(f"/{name}/{{given}}")
        async def handle(given: str, request: Request, db: Any = Depends(get_db)) -> Any:
            await request.body()
            return await service.run(db, lambda session: work(service, session, given))

    for name, work in WORKS.items():
        add(name, work)

    @app.post("/detached/{given}")
    async def detached(given: str, db: Any = Depends(get_db)) -> Any:
        item = service.Item(name=f"{given}{next(service.numbers)}")

        def save(session: Session) -> None:
            session.add(item)
            session.commit()
            session.close()

        await service.run(db, save)
        return item.name

    @app.post("/nested/{given}")
    async def nested(given: str, db: Any = Depends(get_db)) -> None:
        await service.run(db, service.write)
        await service.run(service.make_session(), lambda session: session.scalar(select(1)))

    @app.post("/exhaust/{given}")
    def exhaust(given: str) -> None:
        for _ in range(2):
            db = service.make_small()
            service.kept.append(db)
            db.scalar(select(1).where(service.Item.name == given))

    @app.post("/engines/{given}")
    def engines(given: str) -> None:
        user, password, option = secrets["user"], secrets["password"], secrets["option"]
        engine = create_engine(
            f"postgresql+psycopg://{user}:{password}@127.0.0.1:1/shop?application_name={option}"
        )
        with engine.connect():
            pass

    @app.post("/call/{given}")
    def call(given: str) -> None:
        user, password, path = secrets["caller"], secrets["credential"], secrets["url"]
        with service.make_sync() as db:
            service.write(db)
            urllib.request.urlopen(f"http://{user}:{password}@127.0.0.1:1/{path}?q={path}")

    @app.websocket("/socket/{given}")
    async def socket(websocket: WebSocket, given: str) -> None:
        await websocket.accept()
        heard = await websocket.receive_text()
        await service.run(service.make_session(), service.write)
        raise ValueError(heard + given)

    async def files(scope: Any, receive: Any, send: Any) -> None:
        await service.run(service.make_session(), service.write)
        raise ValueError(secrets["exception of a file"])

    app.mount("/files", files)
    app.mount("/tenants/{tenant}", files)
