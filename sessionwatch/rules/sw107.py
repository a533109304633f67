"""SW107 unclosed-session: nobody closed it, and it holds nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.mark import LONG_LIVED
from sessionwatch.records.owner import Owner
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
def get_db():
    return SessionLocal()


@app.post("/items")
def create_item(db: Session = Depends(get_db)):
    db.add(Item(name="lamp"))
    db.commit()
    return {}
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as db:
        yield db


@app.post("/items")
def create_item(db: Session = Depends(get_db)):
    db.add(Item(name="lamp"))
    db.commit()
    return {}
"""

RULE = Rule(
    code="SW107",
    name="unclosed-session",
    evidence=Evidence.PROOF,
    severity=Severity.INFO,
    cause=(
        "The session was committed, rolled back or never used, so that it holds no connection; "
        "but nothing closes it, and one more query after that would leak one."
    ),
    fix="Close the session where it was opened, with `with` or in a `finally`.",
    fine=(
        "A session that is kept on purpose, for instance by an object that lives as long as the "
        "process. Those of a `scoped_session` are never reported, as its registry keeps them."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find sessions that were never closed and hold no connection."""
    for session in list(owner.sessions):
        if session.closed_ns or session.reclaimed or session.connections_out():
            continue
        if session.scoped or session.mark == LONG_LIVED:
            continue
        yield RULE.finding(
            owner,
            f"{owner.label} opened a session{at(session.opened_at)} and never closed it; "
            "it holds no connection",
            session.opened_at,
            at_ns=owner.ended_ns,
        )
