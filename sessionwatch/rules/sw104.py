"""SW104 use-after-close: a session works when its owner is over."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import UseAfterClose
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
def get_db():
    with SessionLocal() as session:
        yield session


@app.get("/")
async def start_a_report(db: Session = Depends(get_db)):
    async def report():
        await asyncio.sleep(0.05)  # by then the session is closed
        db.scalar(select(1))

    app.state.report = asyncio.create_task(report())


@app.get("/wait")
async def wait():
    await app.state.report
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as session:
        yield session


@app.get("/")
async def start_a_report(db: Session = Depends(get_db)):
    async def report():
        await asyncio.sleep(0.05)
        with SessionLocal() as own:
            own.scalar(select(1))

    app.state.report = asyncio.create_task(report())


@app.get("/wait")
async def wait():
    await app.state.report
"""

RULE = Rule(
    code="SW104",
    name="use-after-close",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "The session was handed to something that outlives the request: a task, a thread, a "
        "cache. It was closed with the request, silently opened itself again at the next "
        "statement, and nobody will close it a second time."
    ),
    fix=(
        "Give what outlives the request a session of its own, opened and closed where the work "
        "is done; hand it ids rather than objects. `Session(close_resets_only=False)` makes "
        "such a use raise."
    ),
    fine=(
        "A session that is closed and used again within one request is not reported, nor a "
        "session that a child task of the request keeps open and closes later."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)

INCIDENT = UseAfterClose


def check(incident: UseAfterClose) -> Iterator[Finding]:
    """Report a use that came too late."""
    owner, session = incident.owner, incident.session
    when = "was over" if owner.ended_ns else "went on, and another had closed it"
    yield RULE.finding(
        owner,
        f"{owner.label} opened a session{at(session.opened_at)}, which was used{at(incident.at)} "
        f"when {owner.label} {when}",
        session.opened_at,
    )
