"""SW103 gc-reclaimed: only the garbage collector gave the connection back."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
def count_items():
    return len(SessionLocal().scalars(select(Item)).all())


def main():
    count_items()
    gc.collect()  # as Python does by itself, sooner or later
"""

_CORRECT = """\
def count_items():
    with SessionLocal() as db:
        return len(db.scalars(select(Item)).all())


def main():
    count_items()
    gc.collect()
"""

RULE = Rule(
    code="SW103",
    name="gc-reclaimed",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "The last reference to the session was dropped while it held a connection. The garbage "
        "collector returned the connection, silently and at a moment of its own choosing."
    ),
    fix=(
        "Close the session explicitly, with `with` or in a `finally`; what the garbage collector "
        "happens to tidy up today leaks on the next version, or under load."
    ),
    fine=(
        "In a script that ends at once, where nobody misses the connection. Anywhere else it works "
        "by luck."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find sessions and connections that were collected before their owner ended."""
    for session in list(owner.sessions):
        if session.collected:
            yield from check_session(session)
    for hold in list(owner.holds):
        yield from check_connection(hold)


def check_session(session: SessionRecord) -> Iterator[Finding]:
    """Judge a session that is gone."""
    owner = session.owner
    if session.closed_ns or owner.cancelled:
        return
    if not session.reclaimed and not session.connections_out():
        return
    writes = session.writes_uncommitted
    lost = f", and {plural(writes, 'write')} that nobody had committed went with it"
    yield RULE.finding(
        owner,
        f"{owner.label} opened a session{at(session.opened_at)} and never closed it; the garbage "
        f"collector gave its connection back{lost if writes else ''}",
        session.opened_at,
        related=("SW203",) if writes and owner.acknowledged else (),
        details={"uncommitted_writes": writes},
        at_ns=max((hold.returned_ns for hold in session.holds or ()), default=0),
    )


def check_connection(hold: ConnectionHold) -> Iterator[Finding]:
    """Judge a connection that no session had."""
    if hold.reclaimed and not hold.owner.cancelled:
        yield RULE.finding(
            hold.owner,
            f"{hold.owner.label} checked out a connection{at(hold.checked_out_at)} and never "
            "closed it; the garbage collector gave it back",
            hold.checked_out_at,
            at_ns=hold.returned_ns,
        )
