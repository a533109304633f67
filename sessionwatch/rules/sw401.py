"""SW401 concurrent-use: two tasks or threads are in one session at once."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import Overlap
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

async_engine = create_async_engine("sqlite+aiosqlite:///shop.db")


@app.get("/")
async def load():
    async with AsyncSession(async_engine) as session:
        both = (session.scalar(select(1)), session.scalar(select(2)))
        await asyncio.gather(*both, return_exceptions=True)
    await async_engine.dispose()
"""

_CORRECT = """\
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

async_engine = create_async_engine("sqlite+aiosqlite:///shop.db")


@app.get("/")
async def load():
    async def ask(number):
        async with AsyncSession(async_engine) as session:
            return await session.scalar(select(number))

    await asyncio.gather(ask(1), ask(2))
    await async_engine.dispose()
"""

RULE = Rule(
    code="SW401",
    name="concurrent-use",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "A session is one conversation with the database, and works for one task or thread at a "
        "time. Here a second one came in while an operation of the first was under way; what "
        "that does to the transaction is a matter of luck."
    ),
    fix=(
        "Open a session for each task or thread, as in `asyncio.gather(work(SessionLocal()), "
        "…)` with the close inside, or await the operations one after the other."
    ),
    fine=(
        "A session that moves from one thread to another, one after the other, is not reported: "
        "FastAPI does so with every sync dependency."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)

INCIDENT = Overlap


def check(incident: Overlap) -> Iterator[Finding]:
    """Report an overlap."""
    yield RULE.finding(
        incident.owner,
        f"{incident.owner.label} used the session opened{at(incident.session.opened_at)} from two "
        f"tasks or threads at once, the second{at(incident.at)}",
        incident.session.opened_at,
    )
