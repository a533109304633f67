"""Requests that are refused, fail, or are given up, with everything rolled back and closed."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import OperationalError


class OutOfStockError(Exception):
    pass


class ItemIn(BaseModel):
    name: str


@pytest.fixture
def get_db(make_session):
    def get_db():
        db = make_session()
        try:
            yield db
        except Exception:
            db.rollback()
            raise
        finally:
            db.close()

    return get_db


@pytest.fixture
def app(get_db, models):
    app = FastAPI()
    Db = Annotated[Any, Depends(get_db)]

    @app.exception_handler(OutOfStockError)
    async def out_of_stock(request, error):
        return JSONResponse({"detail": "out of stock"}, status_code=409)

    @app.post("/items")
    def add(item: ItemIn, db: Db):
        db.add(models.Item(name=item.name))
        db.flush()
        errors = {
            "domain": OutOfStockError(),
            "http": HTTPException(status_code=400),
            "bug": RuntimeError("a bug"),
        }
        if item.name in errors:
            raise errors[item.name]
        db.commit()
        return {}

    @app.get("/items/{name}")
    def read(name: str, db: Db, response: Response):
        if db.scalar(select(models.Item).where(models.Item.name == name)) is None:
            response.status_code = 404
            return {"detail": "there is none"}
        return {"name": name}

    @app.get("/bad-model", response_model=ItemIn)
    def bad_model(db: Db):
        db.scalars(select(models.Item)).all()
        return {"nome": "a"}

    @app.get("/health")
    def health(db: Db):
        from sqlalchemy import text

        try:
            db.execute(text("SELECT * FROM nowhere"))
        except OperationalError:
            return JSONResponse({"database": "away"}, status_code=503)
        return {"database": "here"}

    return app


def test_each_way_to_fail(visit, app, rows):
    answers = {"domain": 409, "http": 400, "bug": 500, "fine": 200}
    with visit(app) as client:
        for name, status in answers.items():
            assert client.post("/items", json={"name": name}).status_code == status
        assert client.post("/items", json={}).status_code == 422
        assert client.post("/nowhere").status_code == 404
        assert client.get("/items/fine").status_code == 200
        assert client.get("/items/none").status_code == 404
        assert client.get("/bad-model").status_code == 500
        assert client.get("/health").status_code == 503
    assert rows() == 1


def test_twenty_at_once(visit, app, rows):
    names = [f"good {number}" for number in range(5)] + ["domain", "http", "bug"] * 5
    with visit(app) as client:
        answers = client.at_once(*[("POST", "/items", {"name": name}) for name in names])
    assert answers == [200] * 5 + [409, 400, 500] * 5
    assert rows() == 5


@pytest.fixture
def cancellable(visit, async_engine, disposing, models):
    """An application whose handlers wait for ever, in the middle of their work."""
    from sqlalchemy.ext.asyncio import AsyncSession

    app = FastAPI(lifespan=disposing)
    app.state.waiting = asyncio.Event()

    async def get_db():
        async with AsyncSession(async_engine) as db:
            yield db

    @app.get("/wait")
    async def wait(db: Annotated[Any, Depends(get_db)], write: bool = False):
        await db.scalars(select(models.Item))
        app.state.waiting.set()
        await asyncio.Event().wait()

    @app.get("/wait-with-write")
    async def wait_with_write(db: Annotated[Any, Depends(get_db)]):
        db.add(models.Item(name="never saved"))
        await db.flush()
        app.state.waiting.set()
        await asyncio.Event().wait()

    @app.get("/give-up")
    async def give_up(db: Annotated[Any, Depends(get_db)]):
        await db.scalars(select(models.Item))
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            raise HTTPException(status_code=504) from None

    with visit(app) as client:
        client.waiting = app.state.waiting
        yield client


@pytest.mark.parametrize("path", ["/wait", "/wait-with-write"])
def test_cancelled_request(cancellable, rows, path):
    async def cancel():
        task = asyncio.ensure_future(cancellable._client.get(path))
        await cancellable.waiting.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    cancellable.run(cancel())
    assert rows() == 0


def test_request_that_gives_up_by_itself(cancellable):
    assert cancellable.at_once(*[("GET", "/give-up", None)] * 20) == [504] * 20
