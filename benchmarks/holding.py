"""Memory of sessions that are open, by what Python allocates for them (in the child)."""

import gc
import tracemalloc
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from benchmarks.child import Stage

ONE = select(1)
_OF_ONE_OWNER = 100
"""A watch follows so many of one owner, and ten times as many (`max_owner_sessions`)."""


async def measure(stage: "Stage", sessions: int, in_transaction: int) -> dict[str, float]:
    """Return the bytes per session: opened only, and having selected on its own connection.

    tracemalloc counts what Python allocates, SQLAlchemy's own objects included and SQLite's not.
    Bare is to be subtracted.
    """
    engine = create_engine("sqlite://", poolclass=NullPool)
    with stage.owner():
        for _ in range(20):
            with _open(engine, work=True):
                pass
    return {
        "opened": _bytes_per_session(stage, engine, sessions, work=False),
        "in_transaction": _bytes_per_session(stage, engine, in_transaction, work=True),
    }


def open_sessions(
    stage: "Stage", owners: ExitStack, engine: Any, number: int, *, work: bool = False
) -> list[Session]:
    """Open sessions, a hundred for each of the owners, which go on until `owners` is closed."""
    opened = []
    for count in range(number):
        if count % _OF_ONE_OWNER == 0:
            owners.enter_context(stage.owner())
        opened.append(_open(engine, work=work))
    return opened


def _open(engine: Any, *, work: bool) -> Session:
    session = Session(engine)
    if work:
        session.execute(ONE).scalar_one()
    return session


def _bytes_per_session(stage: "Stage", engine: Any, number: int, *, work: bool) -> float:
    with ExitStack() as owners:
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        held = open_sessions(stage, owners, engine, number, work=work)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for session in held:
            session.close()
    return (after - before) / number
