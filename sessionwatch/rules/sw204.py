"""SW204 failed-without-rollback: a session is used after a failure, without a rollback."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import UseAfterFailure
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
@app.get("/")
def save_twice():
    with SessionLocal() as session:
        for name in ("lamp", "lamp"):
            try:
                session.add(Item(name=name))
                session.flush()
            except IntegrityError:
                pass  # it is there already, so what
        session.commit()
"""

_CORRECT = """\
@app.get("/")
def save_twice():
    with SessionLocal() as session:
        for name in ("lamp", "lamp"):
            try:
                with session.begin_nested():
                    session.add(Item(name=name))
            except IntegrityError:
                pass
        session.commit()
"""

RULE = Rule(
    code="SW204",
    name="failed-without-rollback",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "A flush or statement failed and the error was caught, but the transaction that it "
        "broke was not rolled back. Everything else that the session is asked for raises until "
        'then (PendingRollbackError; on PostgreSQL "current transaction is aborted").'
    ),
    fix=(
        "Call `session.rollback()` where the error is caught, or try the step inside `with "
        "session.begin_nested():`, so that the savepoint takes back that step alone."
    ),
    fine=(
        "A failure that is caught outside a savepoint which has taken it back is not reported, "
        "nor one after which the session is only rolled back or closed."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)

INCIDENT = UseAfterFailure


def check(incident: UseAfterFailure) -> Iterator[Finding]:
    """Report a use of a broken transaction."""
    session = incident.session
    transaction = session.transaction
    failed_at = at(transaction.failed_at) if transaction is not None else ""
    yield RULE.finding(
        incident.owner,
        f"{incident.owner.label} went on{at(incident.at)} with a session whose transaction had "
        f"failed with {incident.error or 'a lost connection'}{failed_at}, without a rollback",
        session.opened_at,
    )
