"""SW201 split-unit-of-work: one owner's work was committed in pieces."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.owner import Owner
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
@app.post("/orders")
def order():
    with SessionLocal() as db:
        db.add(Item(name="lamp"))
        db.commit()
        db.add(Item(name="bulb"))
        db.commit()
    return {}
"""

_CORRECT = """\
@app.post("/orders")
def order():
    with SessionLocal() as db:
        db.add(Item(name="lamp"))
        db.flush()
        db.add(Item(name="bulb"))
        db.commit()
    return {}
"""

RULE = Rule(
    code="SW201",
    name="split-unit-of-work",
    evidence=Evidence.LOST_WORK,
    severity=Severity.INFO,
    cause=(
        "The owner committed more than once. All went well this time; an error between two of "
        "the commits would have left the first part saved and the rest not (SW202)."
    ),
    fix="Commit once, at the end of the unit of work; use `flush()` where an id is needed before.",
    fine=(
        "Steps that shall stay when a later one fails: an audit record, an attempt that is "
        "counted, a job that saves its progress batch by batch."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner) -> Iterator[Finding]:
    """Find an owner that succeeded with two or more commits that wrote."""
    if owner.failed:
        return
    commits = [
        (session, transaction)
        for session, transaction in owner.written_transactions()
        if transaction.saved_writes
        and not session.is_audit
        and not 0 < owner.response_started_ns <= transaction.first_write_ns
    ]
    if len(commits) < 2:
        return
    session, transaction = commits[0]
    yield RULE.finding(
        owner,
        f"{owner.label} committed writes {plural(len(commits), 'time')}, first"
        f"{at(transaction.ended_by)}",
        session.opened_at,
        details={"commits": len(commits)},
        at_ns=commits[1][1].ended_ns,
    )
