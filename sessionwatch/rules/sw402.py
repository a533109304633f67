"""SW402 shared-session: one session serves two requests."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import Sharing
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
shared = SessionLocal()


@app.get("/")
async def look():
    await asyncio.sleep(0.05)
    return shared.scalar(select(func.count()).select_from(Item))
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as session:
        yield session


@app.get("/")
async def look(db: Session = Depends(get_db)):
    await asyncio.sleep(0.05)
    return db.scalar(select(func.count()).select_from(Item))
"""

RULE = Rule(
    code="SW402",
    name="shared-session",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "The session lives longer than a request: in a module, on `app.state`, in a cache. "
        "Requests see each other's uncommitted work, commit or roll it back for one another, "
        "and are given objects that are out of date."
    ),
    fix=("Open a session for each request, in a dependency that yields it and closes it."),
    fine=(
        "Tests that override the dependency with one session, and ask one request after the "
        "other: then it is info alone, and nothing at all where the session was given a "
        "connection with an outer transaction. A `scoped_session` is judged by the real session "
        "behind it."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)

INCIDENT = Sharing


def check(incident: Sharing) -> Iterator[Finding]:
    """Report a session that two requests have used.

    One that no request opened, and that they use one after the other, may be a test's.
    """
    session, other = incident.session, incident.other
    proven = session.owner.is_served or not other.ended_ns
    how = "which is still under way" if not other.ended_ns else "which is over"
    yield RULE.finding(
        incident.owner,
        f"{incident.owner.label} uses{at(incident.at)} the session opened{at(session.opened_at)}, "
        f"and so does another request, {other.label}, {how}",
        session.opened_at,
        severity=None if proven else Severity.INFO,
        evidence=None if proven else Evidence.SUSPECT,
    )
