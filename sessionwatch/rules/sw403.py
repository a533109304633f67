"""SW403 cancel-leak: a cancelled owner did not give its connection back."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
async def main():
    session = SessionLocal()
    session.scalar(select(1))
    asyncio.current_task().cancel()  # as a timeout does
    await asyncio.sleep(1)
    session.close()  # never reached
"""

_CORRECT = """\
async def main():
    with SessionLocal() as session:
        session.scalar(select(1))
        asyncio.current_task().cancel()
        await asyncio.sleep(1)
"""

RULE = Rule(
    code="SW403",
    name="cancel-leak",
    evidence=Evidence.PROOF,
    severity=Severity.WARNING,
    cause=(
        "The request or job was cancelled: by a timeout, a client that went away, a server that "
        "shuts down. Its session was not closed on that way, or the cancellation struck in the "
        "middle of a statement, after which SQLAlchemy has to throw the connection away."
    ),
    fix=(
        "Open the session with `async with`, which closes it on cancellation too; put the "
        "timeout around the whole unit of work rather than around single statements, or set the "
        "database's own statement timeout."
    ),
    fine=(
        "A session that a cancelled owner closed, and whose connection went back to the pool in "
        "order, is not reported."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find sessions of a cancelled owner whose connection did not come back in order."""
    if not owner.cancelled:
        return
    for session in list(owner.sessions):
        what = _what_became_of(session)
        if what:
            yield RULE.finding(
                owner,
                f"{owner.label} was cancelled, and the connection of the session opened"
                f"{at(session.opened_at)} {what}",
                session.opened_at,
                leaked=None if session.settled else session,
            )
    for hold in list(owner.holds):
        if not hold.returned_ns or hold.reclaimed or hold.terminated:
            yield RULE.finding(
                owner,
                f"{owner.label} was cancelled, and the connection checked out"
                f"{at(hold.checked_out_at)} {_how_it_ended(hold)}",
                hold.checked_out_at,
                leaked=None if hold.returned_ns else hold,
            )


def _what_became_of(session: SessionRecord) -> str | None:
    if not session.closed_ns and session.connections_out():
        return _NEVER_RETURNED
    if session.terminated:
        return _THROWN_AWAY
    return _LEFT_TO_COLLECTION if session.reclaimed else None


def _how_it_ended(hold: ConnectionHold) -> str:
    if not hold.returned_ns:
        return _NEVER_RETURNED
    return _THROWN_AWAY if hold.terminated else _LEFT_TO_COLLECTION


_NEVER_RETURNED = "was never returned"
_THROWN_AWAY = "had to be thrown away"
_LEFT_TO_COLLECTION = "was left to the garbage collector"
