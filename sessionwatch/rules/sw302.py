"""SW302 background-before-commit: background work begins before the request's work is saved."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import EarlyBackground
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at, plural

_BROKEN = """\
def get_db():
    with SessionLocal() as session:
        yield session
        session.commit()


def count_items():
    with SessionLocal() as session:
        session.scalar(select(func.count()).select_from(Item))


@app.get("/")
def add(tasks: BackgroundTasks, db: Session = Depends(get_db)):
    db.add(Item(name="lamp"))
    db.flush()
    tasks.add_task(count_items)
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as session:
        yield session


def count_items():
    with SessionLocal() as session:
        session.scalar(select(func.count()).select_from(Item))


@app.get("/")
def add(tasks: BackgroundTasks, db: Session = Depends(get_db)):
    db.add(Item(name="lamp"))
    db.commit()
    tasks.add_task(count_items)
"""

RULE = Rule(
    code="SW302",
    name="background-before-commit",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "Background tasks run when the response has been sent, and FastAPI 0.118 and newer "
        "commit in the exit of a dependency only after them. The task's own session can't see "
        "what the request wrote, and may wait for its locks."
    ),
    fix=(
        'Inject the session with `Depends(get_db, scope="function")` (FastAPI 0.121 and newer), '
        "or commit in the handler before it returns."
    ),
    fine=("A background task that begins when the request's writes are committed is not reported."),
    broken=_BROKEN,
    correct=_CORRECT,
)

INCIDENT = EarlyBackground


def check(incident: EarlyBackground) -> Iterator[Finding]:
    """Report a session that began too early."""
    uncommitted = incident.uncommitted
    writes = uncommitted.writes_uncommitted
    yield RULE.finding(
        incident.owner,
        f"after its response, {incident.owner.label} opened a session"
        f"{at(incident.session.opened_at)} while {plural(writes, 'write')} of the session opened"
        f"{at(uncommitted.opened_at)} {'was' if writes == 1 else 'were'} not committed yet",
        incident.session.opened_at,
        details={"writes_uncommitted": writes},
    )
