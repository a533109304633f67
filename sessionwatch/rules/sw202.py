"""SW202 partial-commit: some of the owner's work was saved, and the rest was not."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.owner import Owner
from sessionwatch.records.transaction import Outcome, TransactionRecord
from sessionwatch.rules import sw206
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
@app.post("/orders")
def order():
    with SessionLocal() as db:
        db.add(Item(name="lamp"))
        db.commit()
        if db.scalar(select(Item).where(Item.name == "bulb")) is None:
            raise LookupError("no bulb for the lamp")
        db.commit()
    return {}
"""

_CORRECT = """\
@app.post("/orders")
def order():
    with SessionLocal() as db:
        db.add(Item(name="lamp"))
        db.flush()
        if db.scalar(select(Item).where(Item.name == "bulb")) is None:
            raise LookupError("no bulb for the lamp")
        db.commit()
    return {}
"""

RULE = Rule(
    code="SW202",
    name="partial-commit",
    evidence=Evidence.LOST_WORK,
    severity=Severity.ERROR,
    cause=(
        "Writes were committed in the middle of the owner's work, which then failed: what came "
        "before the commit is saved, what should have come after it is not."
    ),
    fix=(
        "Commit once, at the end, so that an error takes back everything; use `flush()` where a "
        "generated id is needed before."
    ),
    fine=(
        "What was committed first shall survive the failure: a failed login that is counted, an "
        "audit or outbox record. That is why an answer of 4xx alone makes it only a suspect."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find commits after which the same owner dropped writes or failed."""
    written = owner.written_transactions()
    commits = [
        (session, transaction)
        for session, transaction in written
        if transaction.saved_writes
        and not session.is_audit
        and not transaction.written_while_handling
        and not sw206.swallowed(owner, session, transaction)
    ]
    if not commits:
        return
    session, first = commits[0]
    dropped = [
        transaction
        for _, transaction in written
        if not transaction.saved_writes
        and _ends_after(transaction, first)
        and not 0 < owner.response_completed_ns <= transaction.first_write_ns
    ]
    failure = _failure(owner, commits[-1][1])
    if not dropped and failure is None:
        return
    certain = any(not _on_purpose(owner, transaction) for transaction in dropped)
    certain = certain or owner.error is not None or (owner.status or 0) >= 500
    yield RULE.finding(
        owner,
        f"{owner.label} committed {plural(sum(t.writes for _, t in commits), 'write')}"
        f"{at(first.ended_by)}, and then " + (_dropped(dropped) if dropped else str(failure)),
        session.opened_at,
        severity=None if certain else Severity.INFO,
        evidence=None if certain else Evidence.SUSPECT,
        details={
            "writes_committed": sum(transaction.writes for _, transaction in commits),
            "writes_dropped": sum(each.writes + each.orphaned_writes for each in dropped),
        },
        at_ns=dropped[0].ended_ns if dropped else owner.ended_ns,
    )


def _ends_after(transaction: TransactionRecord, commit: TransactionRecord) -> bool:
    return not transaction.ended_ns or transaction.ended_ns > commit.ended_ns


def _on_purpose(owner: Owner, transaction: TransactionRecord) -> bool:
    """Whether an owner that succeeded has tried a unit of work, taken it back and gone on."""
    given_up = transaction.outcome is Outcome.ROLLED_BACK or transaction.given_up
    return given_up and not owner.failed


def _dropped(transactions: list[TransactionRecord]) -> str:
    writes = sum(each.writes + each.orphaned_writes for each in transactions)
    return f"lost {plural(writes, 'later write')} ({transactions[-1].outcome.value})"


def _failure(owner: Owner, last_commit: TransactionRecord) -> str | None:
    """Say how the owner failed, if the commit belongs to the part that failed.

    An error after the whole response is a background task's or a teardown's: the commits that the
    response had acknowledged are no half of it.
    """
    if owner.raised_after_response and last_commit.ended_ns <= owner.response_completed_ns:
        return None
    if owner.error is not None:
        return f"raised {owner.error}"
    if owner.cancelled:
        return None if owner.kind == "websocket" else "was cancelled"
    if (owner.status or 0) >= 400:
        return f"answered {owner.status}"
    return None
