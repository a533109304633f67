"""SW205 savepoint-orphan: work in a savepoint that its transaction took along."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.transaction import Joining, Outcome, TransactionRecord
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
@app.get("/")
def save():
    with SessionLocal() as session:
        with session.begin_nested():  # its end is not a commit
            session.add(Item(name="lamp"))
"""

_CORRECT = """\
@app.get("/")
def save():
    with SessionLocal() as session:
        with session.begin_nested():
            session.add(Item(name="lamp"))
        session.commit()
"""

RULE = Rule(
    code="SW205",
    name="savepoint-orphan",
    evidence=Evidence.LOST_WORK,
    severity=Severity.WARNING,
    cause=(
        "A savepoint saves nothing by itself: releasing it hands its work to the transaction "
        "around it, which was then closed without a commit. Or the savepoint was left open, and "
        "its work went with the close."
    ),
    fix=(
        "Commit the session after the savepoint, and write savepoints as `with "
        "session.begin_nested():`, which ends them on every way out."
    ),
    fine=(
        "A savepoint inside a transaction that is rolled back on purpose, or of an owner that "
        "failed, is not reported."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find savepoints whose work was discarded although the owner reported success."""
    if not owner.acknowledged or owner.cancelled:
        return
    for session in list(owner.sessions):
        for transaction in session.transactions or ():
            if transaction.given_up:
                continue
            if transaction.orphaned_writes and transaction.joined is Joining.NOT:
                yield _left_open(owner, session, transaction)
            elif lost_with_root(session, transaction):
                yield _lost_with_root(owner, session, transaction)


def lost_with_root(session: SessionRecord, transaction: TransactionRecord) -> bool:
    """Whether a savepoint was released, and the transaction around it then discarded."""
    return (
        transaction.released_writes > 0
        and transaction.at_stake
        and transaction.outcome is Outcome.DISCARDED
        and not session.took_along(transaction)
        and not transaction.commit_failed
    )


def _left_open(owner: Owner, session: SessionRecord, transaction: TransactionRecord) -> Finding:
    return RULE.finding(
        owner,
        f"{owner.label} reported success and lost {plural(transaction.orphaned_writes, 'write')} "
        f"of a savepoint that was still open when its session, opened{at(session.opened_at)}, "
        "was closed",
        session.opened_at,
        related=("SW203",) if transaction.dropped_writes else (),
        details={"writes": transaction.orphaned_writes},
        at_ns=transaction.ended_ns,
    )


def _lost_with_root(
    owner: Owner, session: SessionRecord, transaction: TransactionRecord
) -> Finding:
    return RULE.finding(
        owner,
        f"{owner.label} reported success and lost {plural(transaction.writes, 'write')}: "
        f"a savepoint of the session opened{at(session.opened_at)} had been released, and nobody "
        "committed after that",
        session.opened_at,
        severity=Severity.ERROR,
        related=("SW203",),
        details={"writes": transaction.writes},
        at_ns=transaction.ended_ns,
    )
