"""Requests of several units of work, one after the other, each saved whole."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Key(Base):
    __tablename__ = "keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[int]


@pytest.fixture(autouse=True)
def tables(engine):
    Base.metadata.create_all(engine)


@pytest.fixture
def get_db(make_session):
    def get_db():
        with make_session() as db:
            yield db

    return get_db


def test_units_with_a_session_each(visit, make_session, rows):
    app = FastAPI()

    @app.post("/orders/{title}")
    def order(title: str):
        with make_session.begin() as db:
            db.add(Order(title=title))
        with make_session.begin() as db:
            db.add(Event(text=f"{title} was ordered"))
        with make_session() as db:
            return {"orders": len(db.scalars(select(Order)).all())}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/orders/{n}", None) for n in range(20)]) == [200] * 20
    assert rows("orders") == rows("events") == 20


def test_outbox_in_the_same_transaction(visit, get_db, rows):
    app = FastAPI()

    @app.post("/orders/{title}")
    def order(title: str, db: Annotated[Any, Depends(get_db)]):
        db.add(Order(title=title))
        db.flush()
        db.add(Event(text=f"{title} was ordered"))
        db.commit()
        return {}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/orders/{n}", None) for n in range(20)]) == [200] * 20
    assert rows("orders") == rows("events") == 20


def test_key_that_makes_a_repetition_harmless(visit, get_db, rows):
    app = FastAPI()

    @app.post("/orders/{title}")
    def order(title: str, db: Annotated[Any, Depends(get_db)], key: Annotated[str, Header()]):
        known = db.get(Key, key)
        if known is not None:
            return {"id": known.order_id}
        order = Order(title=title)
        db.add(order)
        db.flush()
        db.add(Key(key=key, order_id=order.id))
        try:
            db.commit()
        except IntegrityError:
            db.rollback()
            return {"id": db.get(Key, key).order_id}
        return {"id": order.id}

    with visit(app) as client:
        first = client.post("/orders/hat", headers={"key": "k"}).json()
        assert client.post("/orders/hat", headers={"key": "k"}).json() == first
    assert rows("orders") == 1


def test_refusal_before_the_first_write(visit, get_db, rows):
    app = FastAPI()

    @app.post("/orders/{title}")
    def order(title: str, db: Annotated[Any, Depends(get_db)]):
        if len(db.scalars(select(Order)).all()) >= 1:
            raise HTTPException(status_code=429)
        db.add(Order(title=title))
        db.commit()
        return {}

    with visit(app) as client:
        assert client.post("/orders/a").status_code == 200
        assert client.at_once(*[("POST", f"/orders/{n}", None) for n in range(19)]) == [429] * 19
    assert rows("orders") == 1


def test_write_then_redirect(visit, get_db, rows):
    from fastapi.responses import RedirectResponse

    app = FastAPI()

    @app.post("/orders/{title}")
    def order(title: str, db: Annotated[Any, Depends(get_db)]):
        db.add(Order(title=title))
        db.commit()
        return RedirectResponse("/orders", status_code=303)

    with visit(app) as client:
        assert client.post("/orders/hat").status_code == 303
    assert rows("orders") == 1


def test_commit_then_reads_for_the_answer(visit, get_db):
    app = FastAPI()

    @app.post("/orders/{title}")
    def order(title: str, db: Annotated[Any, Depends(get_db)]):
        order = Order(title=title)
        db.add(order)
        db.commit()
        orders = db.scalars(select(Order)).all()
        return {"title": order.title, "orders": len(orders)}

    with visit(app) as client:
        assert client.post("/orders/hat").json() == {"title": "hat", "orders": 1}


def test_call_to_another_service_between_two_units(visit, make_session, rows):
    """The answer takes its time, and no transaction is open meanwhile."""
    import httpx

    service = FastAPI()

    @service.get("/price")
    def price():
        return 7

    app = FastAPI()

    @app.post("/orders/{title}")
    async def order(title: str):
        with make_session() as db:
            known = db.scalars(select(Order).where(Order.title == title)).first()
        transport = httpx.ASGITransport(service)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            price = (await client.get("/price")).json()
        if known is None:
            with make_session.begin() as db:
                db.add(Order(title=f"{title} for {price}"))
        return {"price": price}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/orders/{n}", None) for n in range(20)]) == [200] * 20
    assert rows("orders") == 20
