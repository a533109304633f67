"""SW501 pool-exhausted: a checkout timed out, and these hold the connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sessionwatch.records.owner import Owner
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.stack import Stack
from sessionwatch.rules.holders import Holders, count_holders, plain_holders
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import plural

_BROKEN = """\
@app.get("/report")
def report():
    counts = []
    for name in ("lamp", "bulb", "cable"):
        db = SessionLocal()  # the third one finds the pool of two empty
        query = select(Item).where(Item.name == name)
        counts.append(len(db.scalars(query).all()))
    return counts
"""

_CORRECT = """\
@app.get("/report")
def report():
    counts = []
    for name in ("lamp", "bulb", "cable"):
        with SessionLocal() as db:
            query = select(Item).where(Item.name == name)
            counts.append(len(db.scalars(query).all()))
    return counts
"""

RULE = Rule(
    code="SW501",
    name="pool-exhausted",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "Every connection of the pool was out, and none came back within the pool's timeout. "
        "Leaked ones never come back; idle ones are held by code that does something else; only "
        "when all are busy is the pool too small."
    ),
    fix="Fix the holders listed first, then size the pool for those that are busy.",
    fine=(
        "Where the pool is the limit that was chosen on purpose, all its connections are busy, and "
        "whoever waits in vain is told so and tries again."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(owner: Owner, pool: PoolRecord, waited_ns: int, waited_at: Stack) -> Iterator[Finding]:
    """Tell who holds the connections of a pool that a checkout has just waited for in vain."""
    holders = count_holders(list(pool.holds))
    states = Counter[str]()
    for (state, _), number in holders.items():
        states[state] += number
    tally = ", ".join(f"{states[state]} {state}" for state in _STATES if states[state])
    yield RULE.finding(
        owner,
        f"{owner.label} waited {waited_ns / 1e9:.1f} s for a connection in vain "
        f"({pool.usage}: {tally or 'no holder known'}); {_verdict(states, holders)}",
        waited_at,
        details={
            "waited_seconds": waited_ns / 1e9,
            "holders": plain_holders(holders),
        },
    )


_STATES = ("leaked", "idle", "busy")


def _verdict(states: Counter[str], holders: Holders) -> str:
    for state, advice in (("leaked", "fix this leak first"), ("idle", "held without a statement")):
        if states[state]:
            worst = max(
                (holder for holder in holders if holder[0] == state), key=lambda each: holders[each]
            )
            return f"{advice}: {plural(holders[worst], 'connection')} by {worst[1]}"
    return (
        "all are busy: the pool is undersized" if states["busy"] else "nobody is known to hold one"
    )
