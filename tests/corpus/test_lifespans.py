"""Engines that a lifespan makes and disposes of, with queries at start-up and at shutdown."""

from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session, sessionmaker


def test_engine_of_a_lifespan(visit, models, database_path, rows):
    @asynccontextmanager
    async def lifespan(app):
        engine = create_engine(f"sqlite:///{database_path}")
        with Session(engine) as db, db.begin():
            db.add(models.Item(name="made at start-up"))
        app.state.session_local = sessionmaker(engine)
        yield
        with Session(engine) as db, db.begin():
            db.add(models.Item(name="made at shutdown"))
        engine.dispose()

    def get_db(request: Request):
        with request.app.state.session_local() as db:
            yield db

    app = FastAPI(lifespan=lifespan)

    @app.get("/count")
    def count(db: Annotated[Any, Depends(get_db)]):
        return db.scalar(select(func.count()).select_from(models.Item))

    with visit(app) as client:
        assert client.get("/count").json() == 1
        assert client.at_once(*[("GET", "/count", None)] * 20) == [200] * 20
    assert rows() == 2


def test_async_engine_of_a_lifespan(visit, async_engine, disposing, models):
    from sqlalchemy.ext.asyncio import async_sessionmaker

    session_local = async_sessionmaker(async_engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(app):
        async with disposing(app):
            async with async_engine.begin() as connection:
                await connection.run_sync(models.Base.metadata.create_all)
            async with session_local.begin() as db:
                db.add(models.Item(name="made at start-up"))
            yield

    async def get_db():
        async with session_local() as db:
            yield db

    app = FastAPI(lifespan=lifespan)

    @app.get("/count")
    async def count(db: Annotated[Any, Depends(get_db)]):
        return await db.scalar(select(func.count()).select_from(models.Item))

    with visit(app) as client:
        assert client.get("/count").json() == 1
        assert client.at_once(*[("GET", "/count", None)] * 20) == [200] * 20


def test_connection_that_is_held_from_start_up_to_shutdown(visit, engine, make_session):
    """An advisory lock, a LISTEN: one connection belongs to the application itself."""

    @asynccontextmanager
    async def lifespan(app):
        with engine.connect() as held:
            held.execute(select(1))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/one")
    def one():
        with make_session() as db:
            return db.scalar(select(1))

    with visit(app) as client:
        assert client.at_once(*[("GET", "/one", None)] * 20) == [200] * 20


def test_engine_that_the_first_request_makes(visit, make_engine, models):
    """One engine for all requests, made when the first of them asks for it."""

    @lru_cache
    def get_engine():
        return make_engine()

    app = FastAPI()

    def get_db(engine: Annotated[Any, Depends(get_engine)]):
        with Session(engine) as db:
            yield db

    @app.get("/count")
    def count(db: Annotated[Any, Depends(get_db)]):
        return db.scalar(select(func.count()).select_from(models.Item))

    with visit(app) as client:
        assert client.get("/count").json() == 0
        assert client.at_once(*[("GET", "/count", None)] * 20) == [200] * 20


def test_engine_for_each_tenant(visit, tmp_path, make_engine, models):
    """Several engines are made by requests, and each has a database of its own."""

    @lru_cache
    def sessions_of(tenant):
        engine = make_engine(f"sqlite:///{tmp_path}/{tenant}.db")
        models.Base.metadata.create_all(engine)
        return sessionmaker(engine)

    app = FastAPI()

    @app.post("/{tenant}/items")
    def add(tenant: str):
        with sessions_of(tenant).begin() as db:
            db.add(models.Item(name=tenant))
        return {}

    with visit(app) as client:
        for tenant in ("acme", "initech", "hooli"):
            assert client.post(f"/{tenant}/items").status_code == 200
