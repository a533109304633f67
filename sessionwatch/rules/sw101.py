"""SW101 session-leak: the owner ended, and a session of its own still holds a connection."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.mark import LONG_LIVED
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
def get_db():
    db = SessionLocal()
    yield db
    db.close()  # not reached when the handler raises


@app.get("/items/first")
def read_first_item(db: Session = Depends(get_db)):
    if db.get(Item, 1) is None:
        raise HTTPException(404)
    return {}
"""

_CORRECT = """\
def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.get("/items/first")
def read_first_item(db: Session = Depends(get_db)):
    if db.get(Item, 1) is None:
        raise HTTPException(404)
    return {}
"""

RULE = Rule(
    code="SW101",
    name="session-leak",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "Nothing closed the session on the way that this owner took. Most often the close stands "
        "after the yield of a dependency without a finally, or nothing closes it at all. The "
        "connection stays out until the cyclic garbage collector happens to run."
    ),
    fix=(
        "Close the session on every way out: `with SessionLocal() as session: yield session` "
        "(`async with` for an AsyncSession), or `try: yield session` and `finally: "
        "session.close()`."
    ),
    fine=(
        "Never for a session of a request. One that is meant to outlive whoever is judged, such as "
        "that of a worker in the background, is to be opened by the worker itself."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)

_FIX_OF_A_REOPENED_SESSION = (
    "Give what outlives the session (a streaming response, a background task, a lazy load while "
    "the answer is made) a session of its own; `Session(close_resets_only=False)` makes the reuse "
    "raise where it happens."
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find sessions, and connections without a session, that are still out."""
    for session in list(owner.sessions):
        yield from check_session(session)
    for hold in list(owner.holds):
        if not hold.returned_ns and not owner.cancelled:
            yield RULE.finding(
                owner,
                f"{owner.label} checked out a connection{at(hold.checked_out_at)} and never "
                f"returned it ({hold.pool.usage})",
                hold.checked_out_at,
                fix="Close the connection on every way out: `with engine.connect() as ...:`.",
                leaked=hold,
                at_ns=owner.ended_ns,
            )


def check_session(session: SessionRecord) -> Iterator[Finding]:
    """Judge one session that nobody can be expected to close any more."""
    owner, holds = session.owner, session.connections_out()
    if session.settled or not holds or owner.cancelled or session.mark == LONG_LIVED:
        return
    is_or_are = "is" if len(holds) == 1 else "are"
    what = (
        f"{owner.label} opened a session{at(session.opened_at)} {_neglect(session)}; "
        f"{plural(len(holds), 'connection')} of the pool {is_or_are} still out "
        f"({holds[0].pool.usage})"
    )
    transaction = session.transaction
    writes = transaction.writes if transaction is not None and transaction.at_stake else 0
    lost = bool(writes) and owner.acknowledged
    if writes:
        what += f", with {plural(writes, 'write')} that nobody committed"
    yield RULE.finding(
        owner,
        what,
        session.opened_at,
        related=("SW203",) if lost else (),
        details={"connections_out": len(holds), "uncommitted_writes": writes},
        leaked=session,
        fix=_FIX_OF_A_REOPENED_SESSION if session.reopened else None,
        at_ns=owner.ended_ns,
    )


def _neglect(session: SessionRecord) -> str:
    if session.reopened:
        return "and used it again after it had been closed, which nobody closed a second time"
    return "and never closed it"
