"""An application with a leak in it, and a way to ask its debug page."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from starlette.applications import Starlette

import sessionwatch

PATH = "/debug/sessions"
SECRET = "hush-4711"
KEYS = {
    "totals",
    "routes",
    "matching",
    "open_sessions",
    "findings",
    "pools",
    "settings",
    "internal_errors",
    "unused_ignores",
    "dropped",
}


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "web_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


@pytest.fixture
def create_session(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / SECRET}.db")
    Base.metadata.create_all(engine)
    yield sessionmaker(engine)
    engine.dispose()


@pytest.fixture
def leaky(create_session):
    """Return an application whose `/notes/{number}` and `/looks/{number}` leak, but not `/fine`."""
    app = FastAPI()
    app.state.leaked = []

    def get_db():
        session = create_session()
        yield session
        session.close()

    @app.get("/notes/{number}")
    def read(number: int, session: Session = Depends(get_db)):
        app.state.leaked.append(session)
        session.execute(insert(Note).values(body=SECRET))
        raise HTTPException(404, SECRET)

    @app.get("/looks/{number}")
    def look(number: int, session: Session = Depends(get_db)):
        app.state.leaked.append(session)
        session.get(Note, number)
        raise HTTPException(404)

    @app.get("/fine")
    def fine(session: Session = Depends(get_db)):
        return session.get(Note, 1)

    yield app
    for session in app.state.leaked:
        session.close()


@pytest.fixture
def watch_settings():
    return sessionwatch.Settings(log_findings=False)


@pytest.fixture
def app(leaky, watch_settings):
    watch = sessionwatch.install(leaky, watch_settings)
    yield leaky
    watch.stop()


@pytest.fixture
def report(app):
    """Return what the page says after a request that closed its session and one that leaked."""
    assert ask(app, "/fine").status_code == 200
    assert ask(app, "/notes/7").status_code == 404
    return ask(app).json()


@pytest.fixture(params=[FastAPI, Starlette])
def bare_app(request):
    """The page in an application of either kind, without any other route."""
    app = request.param()
    watch = sessionwatch.install(app, sessionwatch.Settings(log_findings=False))
    yield app
    watch.stop()


def ask(app, path=PATH, client="127.0.0.1", base_url="http://127.0.0.1", **arguments):
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as session:
            return await session.get(path, **arguments)

    return asyncio.run(send())


def raw_status(app, method="GET", query=b"", headers=((b"host", b"127.0.0.1"),)):
    """Return the status of a request that httpx would not send as it stands."""
    statuses = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 80),
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(app(scope, receive, send))
    return statuses[0]


@contextmanager
def serving(app):
    """Serve an application on a real server; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
        )
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()
