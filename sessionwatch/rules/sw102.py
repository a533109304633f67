"""SW102 idle-hold: a connection is out, and nobody asks it anything."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
@app.get("/")
async def ask_elsewhere():
    with SessionLocal() as session:
        session.scalar(select(1))
        await asyncio.sleep(0.2)  # a call to another service
        session.commit()
"""

_CORRECT = """\
@app.get("/")
async def ask_elsewhere():
    with SessionLocal() as session:
        session.scalar(select(1))
        session.commit()
        await asyncio.sleep(0.2)
"""

RULE = Rule(
    code="SW102",
    name="idle-hold",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "The connection was checked out and then no statement ran on it for a long time: the "
        "code waits for something else, such as another service, a lock, or a client that reads "
        "slowly. Nobody else can have the connection, and an open transaction keeps its locks."
    ),
    fix=(
        "Commit or close before the slow part and open a session again after it. "
        "`idle_hold_seconds` sets from when on it is reported."
    ),
    fine=(
        "A slow statement is not idle. A session that is meant to stay open says so with "
        '`session.info["sessionwatch"] = "long-lived"`.'
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(hold: ConnectionHold, now_ns: int, threshold_ns: int) -> Iterator[Finding]:
    """Judge a connection that is out, by the time since its last statement."""
    idle_ns = hold.idle_since_use_ns(now_ns)
    if idle_ns <= threshold_ns or hold.is_deliberate:
        return
    in_transaction = hold.session is not None and hold.session.transaction is not None
    state = ", in a transaction" if in_transaction else ""
    yield RULE.finding(
        hold.owner,
        f"{hold.owner.label} holds {hold.description}{at(hold.opened_at)} "
        f"for {hold.held_ns(now_ns) / 1e9:.1f} s, the last {idle_ns / 1e9:.1f} s without a "
        f"statement{state} ({hold.pool.usage})",
        hold.opened_at,
        details={"idle_seconds": idle_ns / 1e9, "held_seconds": hold.held_ns(now_ns) / 1e9},
    )
