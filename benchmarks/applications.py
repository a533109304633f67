"""The application that every contestant is attached to, and what is asked of it."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from sqlalchemy import Engine, create_engine, make_url, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.pool import QueuePool

SQLITE_URL = "sqlite:///file:benchmarks?mode=memory&cache=shared&uri=true"
SESSIONS_OF_TEN = 10


@dataclass(frozen=True)
class Workload:
    """One route, and how many requests a turn has, so that a turn of bare takes about 50 ms."""

    name: str
    title: str
    method: str
    requests: int
    on_postgres: bool = False

    @property
    def path(self) -> str:
        """The route."""
        return f"/{self.name}"


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("select", "SELECT, async", "GET", 150),
        Workload("threads", "SELECT, threads", "GET", 60),
        Workload("write", "write, commit", "POST", 80),
        Workload("ten", "ten sessions", "GET", 25),
        Workload("postgres", "AsyncSession, PostgreSQL", "GET", 50, on_postgres=True),
    )
}


class Base(DeclarativeBase):
    """What the tables are declared with."""


class Item(Base):
    """An empty table to select from."""

    __tablename__ = "benchmark_items"

    id: Mapped[int] = mapped_column(primary_key=True)


class Entry(Base):
    """A table that grows by a row with each write."""

    __tablename__ = "benchmark_entries"

    id: Mapped[int] = mapped_column(primary_key=True)


@dataclass(frozen=True)
class Application:
    """The application, and the engine that its sessions use (the synchronous one of an async)."""

    app: FastAPI
    engine: Engine
    create_session: Callable[[], Any]


def build(url: str) -> Application:
    """Return the application on SQLite in memory, or the one with AsyncSession on PostgreSQL."""
    return _on_postgres(url) if make_url(url).drivername.startswith("postgresql") else _on_sqlite()


def _on_sqlite() -> Application:
    engine = create_engine(
        SQLITE_URL, poolclass=QueuePool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)  # the pool keeps the connection, and so the database
    create_session = sessionmaker(engine)
    app = FastAPI()

    async def get_db() -> AsyncIterator[Session]:
        with create_session() as session:
            yield session

    def get_db_in_thread() -> Iterator[Session]:
        with create_session() as session:
            yield session

    @app.get("/select")
    async def read(session: Annotated[Session, Depends(get_db)]) -> int:
        return len(session.scalars(select(Item)).all())

    @app.get("/threads")
    def read_in_thread(session: Annotated[Session, Depends(get_db_in_thread)]) -> int:
        return len(session.scalars(select(Item)).all())

    @app.post("/write")
    async def write(session: Annotated[Session, Depends(get_db)]) -> int:
        session.add(Entry())
        session.commit()
        return 1

    @app.get("/ten")
    async def read_ten_times() -> int:
        rows = 0
        for _ in range(SESSIONS_OF_TEN):
            with create_session() as session:
                rows += len(session.scalars(select(Item)).all())
        return rows

    return Application(app, engine, create_session)


def _on_postgres(url: str) -> Application:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

    engine = create_async_engine(url)
    create_session = async_sessionmaker(engine)
    app = FastAPI()

    async def get_db() -> AsyncIterator[AsyncSession]:
        async with create_session() as session:
            yield session

    @app.get("/postgres")
    async def read(session: Annotated[AsyncSession, Depends(get_db)]) -> int:
        return len((await session.scalars(select(Item))).all())

    return Application(app, engine.sync_engine, create_session)
