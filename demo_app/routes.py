"""The shop's routes, as plain functions.

Those under "habits" do what handlers often do wrong, so that one can see what becomes of it under
each way to write the dependency. They flush, which sends their writes to the database, and leave
the commit to the dependency unless they say otherwise.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, BackgroundTasks, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from demo_app.models import Account, AuditEntry, Item, Order, OrderLine
from demo_app.schemas import (
    AccountAnswer,
    ItemAnswer,
    NewItem,
    NewOrder,
    OrderAnswer,
    Transfer,
)

CHUNKS = 3
SECONDS_BETWEEN_CHUNKS = 0.01
ENDLESS_CHUNKS = 300
SECONDS_BETWEEN_ENDLESS_CHUNKS = 0.1
NO_SUCH_ORDER = 999_999


def declare_routes(
    router: APIRouter, db_dependency: Any, create_session: Callable[[], Any] | None
) -> None:
    """Declare the routes, each of which gets its session from `db_dependency`."""

    @router.get("/items/")
    def read_items(db: Session = db_dependency) -> dict[str, str]:
        return {"message": "Database session is ready"}

    @router.get("/items/all", response_model=list[ItemAnswer])
    def read_all_items(db: Session = db_dependency) -> Any:
        return db.scalars(select(Item)).all()

    @router.post("/add", response_model=ItemAnswer)
    def add_item(item: NewItem, db: Session = db_dependency) -> Any:
        added = Item(name=item.name)
        db.add(added)
        db.commit()
        return added

    @router.get("/accounts", response_model=list[AccountAnswer])
    def read_accounts(db: Session = db_dependency) -> Any:
        return db.scalars(select(Account).order_by(Account.name)).all()

    @router.post("/transfer", response_model=list[AccountAnswer])
    def transfer(wanted: Transfer, db: Session = db_dependency) -> Any:
        move(db, wanted.source, -wanted.amount)
        move(db, wanted.target, wanted.amount)
        db.commit()
        return db.scalars(select(Account).order_by(Account.name)).all()

    @router.post("/orders", response_model=OrderAnswer)
    def order_something(order: NewOrder, db: Session = db_dependency) -> Any:
        return place(db, order.reference)

    # Habits of handlers.

    @router.post("/orders/handler-commits", response_model=OrderAnswer)
    def order_and_commit(order: NewOrder, db: Session = db_dependency) -> Any:
        answer = place(db, order.reference)
        db.commit()
        return answer

    @router.post("/orders/http-exception")
    def order_and_refuse(order: NewOrder, db: Session = db_dependency) -> Any:
        place(db, order.reference)
        raise HTTPException(400, "the shop is closed")

    @router.post("/orders/unhandled")
    def order_and_fail(order: NewOrder, db: Session = db_dependency) -> Any:
        place(db, order.reference)
        raise ValueError("a mistake in the handler")

    @router.post("/orders/bad-response", response_model=OrderAnswer)
    def order_and_answer_nonsense(order: NewOrder, db: Session = db_dependency) -> Any:
        place(db, order.reference)
        return {"order_id": "not a number"}

    @router.post("/transfer/split")
    def transfer_in_two_commits(wanted: Transfer, db: Session = db_dependency) -> Any:
        move(db, wanted.source, -wanted.amount)
        db.commit()
        raise RuntimeError("the power went out between the two commits")

    @router.post("/transfer/swallowed")
    def transfer_and_swallow(wanted: Transfer, db: Session = db_dependency) -> Any:
        try:
            move(db, wanted.source, -wanted.amount)
            raise RuntimeError("the other account cannot be reached")
        except RuntimeError as error:
            return JSONResponse({"detail": str(error)}, status_code=wanted.error_status)

    @router.post("/orders/deferred", response_model=OrderAnswer)
    def order_what_commit_refuses(order: NewOrder, db: Session = db_dependency) -> Any:
        answer = place(db, order.reference)
        db.add(OrderLine(order_id=NO_SUCH_ORDER, item="nothing"))
        db.flush()
        return answer

    @router.post("/orders/background", response_model=OrderAnswer)
    def order_and_note_later(
        order: NewOrder, tasks: BackgroundTasks, db: Session = db_dependency
    ) -> Any:
        tasks.add_task(note, order.reference)
        return place(db, order.reference)

    def note(reference: str) -> None:
        if create_session is not None:
            with create_session() as session:
                session.add(AuditEntry(reference=reference))
                session.commit()

    @router.get("/orders/stream")
    def order_and_stream(reference: str, db: Session = db_dependency) -> Any:
        place(db, reference)
        counts = count_orders(db, CHUNKS, SECONDS_BETWEEN_CHUNKS)
        return StreamingResponse(counts, media_type="text/plain")

    @router.get("/orders/stream-forever")
    def order_and_stream_on(reference: str, db: Session = db_dependency) -> Any:
        place(db, reference)
        counts = count_orders(db, ENDLESS_CHUNKS, SECONDS_BETWEEN_ENDLESS_CHUNKS)
        return StreamingResponse(counts, media_type="text/plain")

    @router.post("/burst/fail")
    def look_and_refuse(order: NewOrder, db: Session = db_dependency) -> Any:
        db.scalars(select(Item)).all()
        place(db, order.reference)
        raise HTTPException(400, "the shop is closed")

    @router.get("/burst/good", response_model=list[ItemAnswer])
    def look(db: Session = db_dependency) -> Any:
        return db.scalars(select(Item)).all()


def place(db: Session, reference: str) -> dict[str, Any]:
    """Write an order with its line, and return what to answer."""
    order = Order(reference=reference)
    db.add(order)
    db.flush()
    db.add(OrderLine(order_id=order.id, item="apple"))
    db.flush()
    return {"order_id": order.id, "reference": reference}


def move(db: Session, name: str, amount: int) -> None:
    """Add `amount` coins to an account, or take them when it is negative.

    The database does the sum in one statement, so that of two transfers at once neither undoes
    what the other did. Raises HTTPException 409 when the account is missing or would be overdrawn.
    """
    change = (
        update(Account)
        .where(Account.name == name, Account.balance + amount >= 0)
        .values(balance=Account.balance + amount)
        .returning(Account.id)
    )
    if db.scalars(change).one_or_none() is None:
        raise HTTPException(409, f"no account {name!r} has the coins for that")


def count_orders(db: Session, chunks: int, pause_seconds: float) -> Iterator[str]:
    """Send the number of orders again and again, through the request's own session."""
    for number in range(chunks):
        if number:
            time.sleep(pause_seconds)
        yield f"{db.scalar(select(func.count()).select_from(Order))}\n"
