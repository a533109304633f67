"""SW502 nested-checkout: an owner takes a second connection while it holds one."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import NestedCheckout
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
@app.get("/")
def total():
    with SessionLocal() as session:
        session.scalar(select(1))
        with SessionLocal() as another:
            return another.scalar(select(2))
"""

_CORRECT = """\
@app.get("/")
def total():
    with SessionLocal() as session:
        session.scalar(select(1))
    with SessionLocal() as another:
        return another.scalar(select(2))
"""

RULE = Rule(
    code="SW502",
    name="nested-checkout",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "A request that waits for a second connection keeps its first. When as many requests as "
        "the pool has connections do so at once, each waits for another and all of them time "
        "out, however large the pool is."
    ),
    fix=(
        "Hand the first session on instead of opening another, or close (or commit) the first "
        "before the second begins."
    ),
    fine=(
        "Connections of two pools, such as a primary and a replica, are not reported, nor those "
        "of tasks that run side by side, each with a session of its own. An audit entry that "
        "must survive a rollback needs a second connection: give it a small pool of its own."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)

INCIDENT = NestedCheckout


def check(incident: NestedCheckout) -> Iterator[Finding]:
    """Report a second connection."""
    owner, held = incident.owner, incident.held
    what = "waits for" if incident.waiting else "took"
    yield RULE.finding(
        owner,
        f"{owner.label} {what} a second connection of a pool ({held.pool.usage}){at(incident.at)}, "
        f"while it holds {held.description}{at(held.opened_at)}",
        held.opened_at,
        severity=_severity(incident),
        evidence=Evidence.PROOF if incident.waiting else None,
        related=("SW501",) if incident.waiting else (),
    )


def _severity(incident: NestedCheckout) -> Severity:
    """After the response nobody waits for the owner: a background task may have its own."""
    if incident.waiting:
        return Severity.ERROR
    return Severity.INFO if incident.owner.response_completed_ns else RULE.severity
