"""What watching costs a request: one async SELECT, in process, watched and bare by turns.

    python benchmarks/request_cost.py [rounds]

Prints, for each tier, the median over the rounds of the ratio to bare, in processor time of the
thread; and the lowest ratio of the fastest rounds, which other load on the machine disturbs least.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.pool import QueuePool

from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings

REQUESTS_PER_ROUND = 200
URL = "sqlite:///file:request_cost?mode=memory&cache=shared&uri=true"
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"host", b"bench")],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 80),
    "asgi": {"version": "3.0"},
}


class Base(DeclarativeBase):
    """What the one table is declared with."""


class Item(Base):
    """An empty table to select from."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)


def make_app(create_session: sessionmaker[Session]) -> FastAPI:
    """Return an application with one route, which opens a session and selects once."""
    app = FastAPI()

    async def get_db() -> AsyncIterator[Session]:
        with create_session() as session:
            yield session

    @app.get("/")
    async def read(session: Session = Depends(get_db)) -> int:  # noqa: B008
        return len(session.scalars(select(Item)).all())

    return app


async def seconds_per_request(app: FastAPI) -> float:
    """Send one round of requests and return the processor time of each, in seconds."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    started = time.thread_time()
    for _ in range(REQUESTS_PER_ROUND):
        await app(dict(SCOPE), receive, send)
    return (time.thread_time() - started) / REQUESTS_PER_ROUND


async def measure(rounds: int) -> None:
    """Let bare and watched applications take turns, and print the ratios."""
    engine = create_engine(URL, poolclass=QueuePool, connect_args={"check_same_thread": False})
    with engine.connect():
        Base.metadata.create_all(engine)
        create_session = sessionmaker(engine)
        bare = make_app(create_session)
        watched = {}
        for stacks in ("off", "caller", "full"):
            watch = SessionWatch(Settings(stacks=stacks, log_findings=False))
            app = make_app(create_session)
            app.add_middleware(SessionWatchMiddleware, watch=watch)
            watched[stacks] = app, watch
        times: dict[str, list[float]] = {"bare": [], "not started": [], **{s: [] for s in watched}}
        for app in (bare, *(app for app, _ in watched.values())):
            await seconds_per_request(app)
        for _ in range(rounds):
            times["bare"].append(await seconds_per_request(bare))
            times["not started"].append(await seconds_per_request(watched["off"][0]))
            for stacks, (app, watch) in watched.items():
                with watch:
                    times[stacks].append(await seconds_per_request(app))
    fastest = sorted(times["bare"])[: max(1, rounds // 4)]
    for name, each in times.items():
        ratios = [one / other for one, other in zip(each, times["bare"], strict=True)]
        quickest = sorted(each)[: max(1, rounds // 4)]
        least = statistics.mean(quickest) / statistics.mean(fastest)
        print(f"{name:12} {statistics.median(ratios):.2f} x bare (fastest rounds {least:.2f})")


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 40))
