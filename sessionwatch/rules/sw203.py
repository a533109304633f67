"""SW203 lost-writes: success was reported, and nobody committed."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.transaction import Outcome, TransactionRecord
from sessionwatch.rules import sw205, sw301
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
def get_db():
    with SessionLocal() as db:
        yield db


@app.post("/items")
def create_item(db: Session = Depends(get_db)):
    item = Item(name="lamp")
    db.add(item)
    db.flush()
    return {"id": item.id}
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as db:
        yield db


@app.post("/items")
def create_item(db: Session = Depends(get_db)):
    item = Item(name="lamp")
    db.add(item)
    db.commit()
    return {"id": item.id}
"""

RULE = Rule(
    code="SW203",
    name="lost-writes",
    evidence=Evidence.LOST_WORK,
    severity=Severity.ERROR,
    cause=(
        "The session was closed, or lost, with writes that had reached the database and that "
        "nobody had committed; the database took them back, and the owner reported success."
    ),
    fix=(
        "Commit before the session is closed: in the handler, or in the dependency after the "
        "yield, with a rollback when an exception comes."
    ),
    fine=(
        "A dry run, which writes in order to throw it away. Call `session.rollback()` there: it "
        "says so, and is never reported."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find root transactions whose writes were dropped without anybody asking for it.

    Those of a session that was never closed at all are named by SW101 and SW103.
    """
    for session in list(owner.sessions):
        yield from check_session(session)


def check_session(session: SessionRecord) -> Iterator[Finding]:
    """Find such transactions of one session."""
    owner = session.owner
    if not owner.acknowledged or owner.cancelled:
        return
    for transaction in session.written_transactions():
        discarded = transaction.at_stake and transaction.outcome is Outcome.DISCARDED
        if (
            not discarded
            or _is_answered_for(owner, transaction)
            or session.took_along(transaction)
            or sw301.lost(owner, transaction)
        ):
            continue
        if sw205.lost_with_root(session, transaction):
            continue
        yield RULE.finding(
            owner,
            f"{owner.label} reported success and lost {plural(transaction.writes, 'write')} of "
            f"the session opened{at(session.opened_at)}: {_how(transaction)}",
            session.opened_at,
            details={"writes": transaction.writes},
            at_ns=transaction.ended_ns,
        )


def _is_answered_for(owner: Owner, transaction: TransactionRecord) -> bool:
    """Whether an error took the work along before the answer, which may have told of it."""
    return transaction.given_up and not 0 < owner.response_started_ns <= transaction.ended_ns


def _how(transaction: TransactionRecord) -> str:
    if transaction.commit_failed:
        return "the commit failed"
    if transaction.error is not None:
        return f"it was closed after {transaction.error}, without a commit"
    return "it was closed without a commit"
