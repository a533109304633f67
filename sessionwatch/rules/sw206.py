"""SW206 swallowed-error: an error response was returned, so the dependency committed."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.transaction import TransactionRecord
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
def get_db():
    with SessionLocal() as db:
        yield db
        db.commit()


@app.post("/orders")
def order(db: Session = Depends(get_db)):
    db.add(Item(name="lamp"))
    db.flush()
    try:
        raise ConnectionError("the payment service does not answer")
    except ConnectionError as error:
        return JSONResponse({"detail": str(error)}, status_code=502)
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as db:
        yield db
        db.commit()


@app.post("/orders")
def order(db: Session = Depends(get_db)):
    db.add(Item(name="lamp"))
    db.flush()
    try:
        raise ConnectionError("the payment service does not answer")
    except ConnectionError as error:
        raise HTTPException(502, str(error)) from error
"""

RULE = Rule(
    code="SW206",
    name="swallowed-error",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "The handler caught an error and returned an error response. No exception reached the "
        "dependency, which took that for success and committed what had been written so far."
    ),
    fix=(
        "Raise (an HTTPException, or the error itself) so that the dependency rolls back, or call "
        "`session.rollback()` before returning the error response."
    ),
    fine=(
        "What was written belongs to the refusal that the client was told of, such as the record "
        "of a payment that was declined."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find commits in a dependency's exit of an owner that answered with an error."""
    for session, transaction in owner.written_transactions():
        if not swallowed(owner, session, transaction):
            continue
        server_error = (owner.status or 0) >= 500
        yield RULE.finding(
            owner,
            f"{owner.label} answered {owner.status} without raising, and "
            f"{plural(transaction.writes, 'write')} of the session opened{at(session.opened_at)} "
            f"were committed all the same{at(transaction.ended_by)}",
            session.opened_at,
            severity=Severity.ERROR if server_error else None,
            related=("SW301",) if _after_response(owner, transaction) else (),
            details={"writes_committed": transaction.writes, "status": owner.status},
            at_ns=transaction.ended_ns,
        )


def swallowed(owner: Owner, session: SessionRecord, transaction: TransactionRecord) -> bool:
    """Whether this commit came from the dependency, after an error that it never saw."""
    return (
        owner.kind == "request"
        and (owner.status or 0) >= 400
        and owner.error is None
        and transaction.saved_writes
        and not session.is_audit
        and (_after_response(owner, transaction) or transaction.dependency_exit)
    )


def _after_response(owner: Owner, transaction: TransactionRecord) -> bool:
    return (
        transaction.served
        and transaction.first_write_ns < owner.response_started_ns < transaction.ended_ns
    )
