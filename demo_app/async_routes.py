"""The shop's routes, as coroutines with an AsyncSession; the same as in `routes`, awaited.

Those under "habits" do what handlers often do wrong, so that one can see what becomes of it under
each way to write the dependency. They flush, which sends their writes to the database, and leave
the commit to the dependency unless they say otherwise.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter, BackgroundTasks, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

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
    async def read_items(db: AsyncSession = db_dependency) -> dict[str, str]:
        return {"message": "Database session is ready"}

    @router.get("/items/all", response_model=list[ItemAnswer])
    async def read_all_items(db: AsyncSession = db_dependency) -> Any:
        return (await db.scalars(select(Item))).all()

    @router.post("/add", response_model=ItemAnswer)
    async def add_item(item: NewItem, db: AsyncSession = db_dependency) -> Any:
        added = Item(name=item.name)
        db.add(added)
        await db.commit()
        await db.refresh(added)
        return added

    @router.get("/accounts", response_model=list[AccountAnswer])
    async def read_accounts(db: AsyncSession = db_dependency) -> Any:
        return (await db.scalars(select(Account).order_by(Account.name))).all()

    @router.post("/transfer", response_model=list[AccountAnswer])
    async def transfer(wanted: Transfer, db: AsyncSession = db_dependency) -> Any:
        await move(db, wanted.source, -wanted.amount)
        await move(db, wanted.target, wanted.amount)
        await db.commit()
        return (await db.scalars(select(Account).order_by(Account.name))).all()

    @router.post("/orders", response_model=OrderAnswer)
    async def order_something(order: NewOrder, db: AsyncSession = db_dependency) -> Any:
        return await place(db, order.reference)

    # Habits of handlers.

    @router.post("/orders/handler-commits", response_model=OrderAnswer)
    async def order_and_commit(order: NewOrder, db: AsyncSession = db_dependency) -> Any:
        answer = await place(db, order.reference)
        await db.commit()
        return answer

    @router.post("/orders/http-exception")
    async def order_and_refuse(order: NewOrder, db: AsyncSession = db_dependency) -> Any:
        await place(db, order.reference)
        raise HTTPException(400, "the shop is closed")

    @router.post("/orders/unhandled")
    async def order_and_fail(order: NewOrder, db: AsyncSession = db_dependency) -> Any:
        await place(db, order.reference)
        raise ValueError("a mistake in the handler")

    @router.post("/orders/bad-response", response_model=OrderAnswer)
    async def order_and_answer_nonsense(order: NewOrder, db: AsyncSession = db_dependency) -> Any:
        await place(db, order.reference)
        return {"order_id": "not a number"}

    @router.post("/transfer/split")
    async def transfer_in_two_commits(wanted: Transfer, db: AsyncSession = db_dependency) -> Any:
        await move(db, wanted.source, -wanted.amount)
        await db.commit()
        raise RuntimeError("the power went out between the two commits")

    @router.post("/transfer/swallowed")
    async def transfer_and_swallow(wanted: Transfer, db: AsyncSession = db_dependency) -> Any:
        try:
            await move(db, wanted.source, -wanted.amount)
            raise RuntimeError("the other account cannot be reached")
        except RuntimeError as error:
            return JSONResponse({"detail": str(error)}, status_code=wanted.error_status)

    @router.post("/orders/deferred", response_model=OrderAnswer)
    async def order_what_commit_refuses(order: NewOrder, db: AsyncSession = db_dependency) -> Any:
        answer = await place(db, order.reference)
        db.add(OrderLine(order_id=NO_SUCH_ORDER, item="nothing"))
        await db.flush()
        return answer

    @router.post("/orders/background", response_model=OrderAnswer)
    async def order_and_note_later(
        order: NewOrder, tasks: BackgroundTasks, db: AsyncSession = db_dependency
    ) -> Any:
        tasks.add_task(note, order.reference)
        return await place(db, order.reference)

    async def note(reference: str) -> None:
        if create_session is not None:
            async with create_session() as session:
                session.add(AuditEntry(reference=reference))
                await session.commit()

    @router.get("/orders/stream")
    async def order_and_stream(reference: str, db: AsyncSession = db_dependency) -> Any:
        await place(db, reference)
        counts = count_orders(db, CHUNKS, SECONDS_BETWEEN_CHUNKS)
        return StreamingResponse(counts, media_type="text/plain")

    @router.get("/orders/stream-forever")
    async def order_and_stream_on(reference: str, db: AsyncSession = db_dependency) -> Any:
        await place(db, reference)
        counts = count_orders(db, ENDLESS_CHUNKS, SECONDS_BETWEEN_ENDLESS_CHUNKS)
        return StreamingResponse(counts, media_type="text/plain")

    @router.post("/burst/fail")
    async def look_and_refuse(order: NewOrder, db: AsyncSession = db_dependency) -> Any:
        (await db.scalars(select(Item))).all()
        await place(db, order.reference)
        raise HTTPException(400, "the shop is closed")

    @router.get("/burst/good", response_model=list[ItemAnswer])
    async def look(db: AsyncSession = db_dependency) -> Any:
        return (await db.scalars(select(Item))).all()


async def place(db: AsyncSession, reference: str) -> dict[str, Any]:
    """Write an order with its line, and return what to answer."""
    order = Order(reference=reference)
    db.add(order)
    await db.flush()
    db.add(OrderLine(order_id=order.id, item="apple"))
    await db.flush()
    return {"order_id": order.id, "reference": reference}


async def move(db: AsyncSession, name: str, amount: int) -> None:
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
    if (await db.scalars(change)).one_or_none() is None:
        raise HTTPException(409, f"no account {name!r} has the coins for that")


async def count_orders(db: AsyncSession, chunks: int, pause_seconds: float) -> AsyncIterator[str]:
    """Send the number of orders again and again, through the request's own session."""
    for number in range(chunks):
        if number:
            await asyncio.sleep(pause_seconds)
        yield f"{await db.scalar(select(func.count()).select_from(Order))}\n"
