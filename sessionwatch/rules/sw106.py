"""SW106 shutdown-leak: the application has shut down, and connections are still out."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import ConnectionsLeft
from sessionwatch.records.redaction import shown_url
from sessionwatch.rules.holders import count_holders, plain_holders
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import plural

_BROKEN = """\
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    session = SessionLocal()
    app.state.names = session.scalars(select(Item.name)).all()
    app.state.session = session
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/names")
def names():
    return app.state.names
"""
_CORRECT = """\
from contextlib import asynccontextmanager


@asynccontextmanager
async def lifespan(app):
    with SessionLocal() as session:
        app.state.names = session.scalars(select(Item.name)).all()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/names")
def names():
    return app.state.names
"""

RULE = Rule(
    code="SW106",
    name="shutdown-leak",
    evidence=Evidence.PROOF,
    severity=Severity.WARNING,
    cause=(
        "The application's lifespan is over, and connections were not returned to their pool. "
        "`engine.dispose()` leaves alone what is checked out: the database sees a client vanish, "
        "and rolls back whatever it had not committed."
    ),
    fix=(
        "Close the sessions listed as holders: those opened at start-up after the `yield` of the "
        "lifespan, those of background tasks before the task is cancelled and awaited there."
    ),
    fine=(
        "What was opened before the application started belongs to whoever started it, such as a "
        "test that lends its session to the requests, and so does what a running test holds."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)
INCIDENT = ConnectionsLeft


def check(left: ConnectionsLeft) -> Iterator[Finding]:
    """Tell who holds the connections of a pool when nobody is left to return them."""
    holders = count_holders(left.holds)
    (_, worst), number = holders.most_common(1)[0]
    is_or_are = "is" if len(left.holds) == 1 else "are"
    reported = any(
        hold.reported is not None or (hold.session is not None and hold.session.reported)
        for hold in left.holds
    )
    name = left.pool.name
    shown = shown_url(name)
    yield RULE.finding(
        left.owner,
        f"the application has shut down, and {plural(len(left.holds), 'connection')} of the pool "
        f"{shown} {is_or_are} still out: {number} by {worst}",
        left.at,
        subject=name,
        related=("SW101",) if reported else (),
        details={
            "pool": shown,
            "connections_out": len(left.holds),
            "holders": plain_holders(holders),
        },
    )
