"""SW301 commit-after-response: the client was answered before the work was saved."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.transaction import TransactionRecord
from sessionwatch.rules import sw206
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
def get_db():
    with SessionLocal() as db:
        yield db
        db.commit()  # the client has had its answer by now


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
        db.commit()


@app.post("/items")
def create_item(db: Session = Depends(get_db, scope="function")):
    item = Item(name="lamp")
    db.add(item)
    db.flush()
    return {"id": item.id}
"""

RULE = Rule(
    code="SW301",
    name="commit-after-response",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "The commit stands after the yield of a dependency, and FastAPI 0.118 and newer run that "
        "part when the response has been sent. The client cannot learn of a commit that fails, "
        "and its next request may not see what it has just saved."
    ),
    fix=(
        'Inject the session with `Depends(get_db, scope="function")` (FastAPI 0.121 and newer), '
        "or commit in the handler before it returns."
    ),
    fine=(
        "Nobody relies on what was answered: a counter of visits, the time when somebody was last "
        "seen. The client may then be told before the work is saved."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find writes made before the response whose commit came, or failed, after it."""
    for session, transaction in owner.written_transactions():
        if lost(owner, transaction):
            yield _lost(owner, session, transaction)
        elif (
            transaction.saved_writes
            and transaction.served
            and _began_before_response(owner, transaction)
            and transaction.ended_ns > owner.response_started_ns
            and not sw206.swallowed(owner, session, transaction)
        ):
            late_seconds = (transaction.ended_ns - owner.response_started_ns) / 1e9
            yield RULE.finding(
                owner,
                f"{owner.label} answered {owner.status} before "
                f"{plural(transaction.writes, 'write')} of the session opened"
                f"{at(session.opened_at)} were committed{at(transaction.ended_by)}",
                session.opened_at,
                details={"late_seconds": late_seconds},
                at_ns=transaction.ended_ns,
            )


def lost(owner: Owner, transaction: TransactionRecord) -> bool:
    """Whether the commit failed when the client had already been told of success."""
    return (
        transaction.commit_failed
        and owner.acknowledged
        and _began_before_response(owner, transaction)
        and transaction.commit_attempted_ns > owner.response_started_ns
    )


def _lost(owner: Owner, session: SessionRecord, transaction: TransactionRecord) -> Finding:
    return RULE.finding(
        owner,
        f"{owner.label} answered {owner.status}, then the commit of "
        f"{plural(transaction.writes, 'write')} of the session opened{at(session.opened_at)} "
        "failed: the client believes in work that is lost",
        session.opened_at,
        severity=Severity.ERROR,
        evidence=Evidence.LOST_WORK,
        details={"commit_failed": True, "writes_lost": transaction.writes},
        at_ns=transaction.commit_attempted_ns,
    )


def _began_before_response(owner: Owner, transaction: TransactionRecord) -> bool:
    return 0 < transaction.first_write_ns < owner.response_started_ns
