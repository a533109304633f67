"""What the examples of all rules have in common."""

from __future__ import annotations

PRELUDE = """\
import asyncio
import gc
import time

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session
from sqlalchemy.orm import mapped_column, sessionmaker

app = FastAPI()
engine = create_engine(
    "sqlite:///shop.db", pool_size=2, max_overflow=0, pool_timeout=0.1
)
SessionLocal = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


Base.metadata.create_all(engine)
"""
"""The lines that stand before every example; with them, each is a whole program."""
