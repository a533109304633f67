"""Memory of sessions that are open, by what Python allocates for them (in the child)."""

import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from benchmarks.child import Stage

ONE = select(1)


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
            "opened": _bytes_per_session(engine, sessions, work=False),
            "in_transaction": _bytes_per_session(engine, in_transaction, work=True),
        }


def _open(engine: Any, *, work: bool) -> Session:
    session = Session(engine)
    if work:
        session.execute(ONE).scalar_one()
    return session


def _bytes_per_session(engine: Any, number: int, *, work: bool) -> float:
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held = [_open(engine, work=work) for _ in range(number)]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for session in held:
        session.close()
    return (after - before) / number
