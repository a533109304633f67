"""A shop with an async session for each request."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("sqlite+aiosqlite:///production.db")
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with SessionLocal() as session:
        yield session


Database = Annotated[AsyncSession, Depends(get_db)]
app = FastAPI()


@app.post("/notes/{text}", status_code=201)
async def create_note(text: str, db: Database):
    note = Note(text=text)
    db.add(note)
    await db.commit()
    return {"id": note.id}


@app.get("/notes/{number}")
async def read_note(number: int, db: Database):
    note = await db.get(Note, number)
    if note is None:
        raise HTTPException(404)
    return note.text


@app.get("/notes")
async def read_notes(db: Database):
    return (await db.scalars(select(Note.text).order_by(Note.id))).all()
