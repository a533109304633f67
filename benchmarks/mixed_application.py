"""An application that does, on one database, what applications do: well, badly and half."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import CheckConstraint, ForeignKey, String, func, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from starlette.websockets import WebSocketDisconnect

LEAST_LEFT = -100


class Base(DeclarativeBase):
    """What the tables are declared with."""


class Account(Base):
    """Somebody's money; no two have one name."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    balance: Mapped[int] = mapped_column(default=0)


class Entry(Base):
    """An amount, other than nothing, on an account."""

    __tablename__ = "entry"
    __table_args__ = (CheckConstraint("amount <> 0"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int]


def create_application(
    create_session: sessionmaker[Session], create_async_session: async_sessionmaker[AsyncSession]
) -> FastAPI:
    """Return the application; `app.state.hanging` is set while a request to /hang hangs."""
    app = FastAPI()
    app.state.hanging = asyncio.Event()

    def get_session() -> Iterator[Session]:
        with create_session() as session:
            yield session

    async def get_blocking_session() -> AsyncIterator[Session]:
        with create_session() as session:
            yield session

    async def get_async_session() -> AsyncIterator[AsyncSession]:
        async with create_async_session() as session:
            yield session

    _add_blocking_routes(app, get_blocking_session)
    _add_sync_routes(app, create_session, get_session)
    _add_async_routes(app, get_async_session)
    _add_long_routes(app, create_session, create_async_session)
    return app


def _add_blocking_routes(app: FastAPI, get_session: Callable[..., Any]) -> None:
    """Add async routes that use a sync session, as many applications do."""
    Needed = Annotated[Session, Depends(get_session)]  # noqa: N806

    @app.get("/accounts/{number}")
    async def read(number: int, session: Needed) -> dict[str, Any]:
        account = session.get(Account, number)
        if account is None:
            raise HTTPException(404, "no such account")
        return {"name": account.name, "balance": account.balance}

    @app.post("/accounts/{name}", status_code=201)
    async def create(name: str, session: Needed) -> int:
        account = Account(name=name)
        session.add(account)
        try:
            session.commit()
        except IntegrityError:
            session.rollback()
            raise HTTPException(409, "there is one") from None
        return account.id

    @app.post("/entries/{number}")
    async def add_entries(number: int, amounts: list[int], session: Needed) -> list[bool]:
        """Save each entry in a savepoint of its own, and all that came through together."""
        session.execute(update(Account).where(Account.id == number).values(balance=Account.balance))
        saved = [_is_saved(session, number, amount) for amount in amounts]
        session.commit()
        return saved


def _add_sync_routes(
    app: FastAPI, create_session: sessionmaker[Session], get_session: Callable[..., Any]
) -> None:
    Needed = Annotated[Session, Depends(get_session)]  # noqa: N806

    @app.post("/unhandled/{name}")
    def create_or_break(name: str, session: Needed) -> int:
        session.add(Account(name=name))
        session.commit()
        return 1

    @app.post("/rolled-back/{number}")
    def change_and_undo(number: int, session: Needed) -> int:
        changed = session.execute(
            update(Account).where(Account.id == number).values(balance=0)
        ).rowcount
        session.rollback()
        return changed

    @app.post("/forgotten/{number}")
    def change_and_forget(number: int, session: Needed) -> str:
        session.add(Entry(account_id=number, amount=7))
        session.flush()
        return "flushed"

    @app.delete("/accounts/{number}")
    def delete(number: int, session: Needed) -> str:
        account = session.get(Account, number)
        if account is not None:
            session.delete(account)
            session.commit()
        return "gone"

    @app.get("/core")
    def count_without_a_session() -> int:
        with create_session.kw["bind"].begin() as connection:
            return connection.scalar(select(func.count()).select_from(Entry))

    @app.get("/leaked")
    def leak() -> int:
        session = create_session()
        session.info["cycle"] = session
        return session.scalar(select(func.count()).select_from(Account))


def _is_saved(session: Session, number: int, amount: int) -> bool:
    try:
        with session.begin_nested():
            session.add(Entry(account_id=number, amount=amount))
    except IntegrityError:
        return False
    return True


def _add_async_routes(app: FastAPI, get_session: Callable[..., Any]) -> None:
    Needed = Annotated[AsyncSession, Depends(get_session)]  # noqa: N806

    @app.get("/async/accounts/{number}")
    async def read(number: int, session: Needed) -> dict[str, Any]:
        account = await session.get(Account, number)
        if account is None:
            raise HTTPException(404, "no such account")
        return {"name": account.name, "balance": account.balance}

    @app.post("/transfer/{giver}/{taker}/{amount}")
    async def transfer(giver: int, taker: int, amount: int, session: Needed) -> int:
        """Refuse too poor a giver, when the taker has the money already."""
        for number, change in ((taker, amount), (giver, -amount)):
            found = await session.get(Account, number)
            if found is None:
                raise HTTPException(404, "no such account")
            found.balance += change
            await session.flush()
            if found.balance < LEAST_LEFT:
                raise HTTPException(400, "too poor")
        await session.commit()
        return amount

    @app.post("/twice/{number}")
    async def commit_twice(number: int, session: Needed) -> str:
        for amount in (1, 2):
            session.add(Entry(account_id=number, amount=amount))
            await session.commit()
        return "twice"

    @app.get("/hang")
    async def hang(session: Needed) -> None:
        await session.execute(select(Account).limit(1))
        app.state.hanging.set()
        await asyncio.Event().wait()


def _add_long_routes(
    app: FastAPI,
    create_session: sessionmaker[Session],
    create_async_session: async_sessionmaker[AsyncSession],
) -> None:
    @app.get("/names")
    def stream_names() -> StreamingResponse:
        """Leave the session to the garbage collector when the client goes away."""

        def lines() -> Iterator[str]:
            # The collector may take the connection before this, and close() finds it closed then.
            with suppress(SQLAlchemyError), create_session() as session:
                for name in session.scalars(select(Account.name).order_by(Account.id).limit(5)):
                    yield f"{name}\n"

        return StreamingResponse(lines(), media_type="text/plain")

    @app.post("/later/{number}")
    def work_later(number: int, tasks: BackgroundTasks) -> str:
        def add_entry() -> None:
            with create_session.begin() as session:
                session.add(Entry(account_id=number, amount=3))

        tasks.add_task(add_entry)
        return "accepted"

    @app.websocket("/balances")
    async def tell_balances(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                number = int(await socket.receive_text())
                async with create_async_session() as session:
                    account = await session.get(Account, number)
                await socket.send_text(str(account and account.balance))
        except WebSocketDisconnect:
            return
