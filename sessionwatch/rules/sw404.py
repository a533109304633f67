"""SW404 loop-blocked: every other request waited for one synchronous statement."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import BlockedLoop
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
COUNT_SLOWLY = text(
    "WITH RECURSIVE n(i) AS "
    "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) "
    "SELECT count(*) FROM n"
)


@app.get("/report")
async def report():
    with SessionLocal() as session:
        return {"rows": session.scalar(COUNT_SLOWLY)}
"""
_CORRECT = """\
COUNT_SLOWLY = text(
    "WITH RECURSIVE n(i) AS "
    "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) "
    "SELECT count(*) FROM n"
)


@app.get("/report")
def report():
    with SessionLocal() as session:
        return {"rows": session.scalar(COUNT_SLOWLY)}
"""

RULE = Rule(
    code="SW404",
    name="loop-blocked",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "A synchronous session was used in `async def` code. Until its statement is answered, or "
        "its pool has a connection to give, the event loop runs nothing else: no other request, "
        "nor the one that would return the connection."
    ),
    fix=(
        "Declare the handler or dependency with `def`, so that FastAPI runs it in a thread, or "
        "use `AsyncSession` with an async driver. `loop_blocked_seconds` sets the threshold."
    ),
    fine=(
        "Async drivers never block, and what runs in threads does not either. Work of the process "
        "itself while no request is under way, as at start-up, keeps nobody waiting."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)
INCIDENT = BlockedLoop


def check(blocked: BlockedLoop) -> Iterator[Finding]:
    """Find what blocked the loop for longer than the threshold."""
    seconds = blocked.blocked_ns / 1e9
    by_what = "a wait for a connection" if blocked.checkout else "a synchronous statement"
    yield RULE.finding(
        blocked.owner,
        f"{blocked.owner.label} kept the event loop from everything else for {seconds:.2f} s "
        f"with {by_what}{at(blocked.at)}",
        blocked.at,
        details={"blocked_seconds": seconds, "checkout": blocked.checkout},
    )
