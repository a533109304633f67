"""Transactions that end without a commit because their work was refused, or was none."""

import pytest
from fastapi import FastAPI
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError


class OutOfStockError(Exception):
    pass


def test_error_that_leaves_the_session_block_and_is_answered(visit, make_session, models, rows):
    """`with` closes the session when the error passes, which rolls back; nobody is misled."""
    app = FastAPI()

    @app.post("/orders")
    def order():
        try:
            with make_session() as session:
                session.add(models.Item(name="order"))
                session.flush()
                raise OutOfStockError
        except OutOfStockError:
            return {"accepted": False}

    with visit(app) as client:
        assert client.post("/orders").json() == {"accepted": False}
    assert rows() == 0


def test_close_in_finally_when_an_error_passes(watch, make_session, models, rows):
    def order():
        session = make_session()
        try:
            session.add(models.Item(name="order"))
            session.flush()
            raise OutOfStockError
        finally:
            session.close()

    with watch.owner("job"):
        try:
            order()
        except OutOfStockError:
            accepted = False
    assert not accepted
    assert rows() == 0


def test_conflict_that_leaves_the_session_block_and_is_answered(visit, make_session, models, rows):
    app = FastAPI()

    @app.post("/orders")
    def order():
        try:
            with make_session() as session:
                session.add(models.Item(name="a line"))
                session.flush()
                session.add(models.Item(name="order"))
                session.commit()
        except IntegrityError:
            return {"accepted": False}
        return {"accepted": True}

    with make_session.begin() as session:
        session.add(models.Item(name="order"))
    with visit(app) as client:
        assert client.post("/orders").json() == {"accepted": False}
    assert rows() == 1


@pytest.mark.parametrize("kind", ["update", "delete", "insert", "upsert"])
def test_returning_of_no_row(watch, make_session, models, kind):
    """A poll that claims the next job by UPDATE ... RETURNING, and there is none."""
    item = models.Item
    statements = {
        "update": update(item).where(item.id == 99).values(name="claimed"),
        "delete": delete(item).where(item.id == 99),
        "insert": insert(item).from_select(["name"], select(item.name).where(item.id == 99)),
        "upsert": sqlite_insert(item).values(name="known").on_conflict_do_nothing(),
    }
    with make_session.begin() as session:
        session.add(item(name="known"))
    with watch.owner("poll"), make_session() as session:
        assert session.execute(statements[kind].returning(item.id)).all() == []
