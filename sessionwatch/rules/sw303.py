"""SW303 stream-pin: a connection is held while a response is streamed."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
@app.get("/")
async def events():
    session = SessionLocal()
    session.scalar(select(1))

    async def stream():
        try:
            for number in range(4):
                yield f"data: {number}\\n\\n"
                await asyncio.sleep(0.05)
        finally:
            session.close()

    return StreamingResponse(stream())
"""

_CORRECT = """\
@app.get("/")
async def events():
    with SessionLocal() as session:
        session.scalar(select(1))

    async def stream():
        for number in range(4):
            yield f"data: {number}\\n\\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(stream())
"""

RULE = Rule(
    code="SW303",
    name="stream-pin",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "The response is being streamed, and the session of the request keeps its connection "
        "until the last byte, although the stream asks the database nothing. Each client that "
        "reads slowly, or listens for events, takes one connection out of the pool."
    ),
    fix=(
        "Close the session (or commit) before the stream begins: inject it with "
        '`Depends(get_db, scope="function")` (FastAPI 0.121 and newer), or open one inside the '
        "stream for each query. `stream_hold_seconds` sets from when on it is reported."
    ),
    fine=("A stream that queries through the session as it goes is not reported."),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(hold: ConnectionHold, now_ns: int, threshold_ns: int) -> Iterator[Finding]:
    """Judge a connection of a request whose response is on its way."""
    owner = hold.owner
    if not owner.is_streaming or hold.is_deliberate:
        return
    pinned_ns = min(hold.idle_since_use_ns(now_ns), now_ns - owner.response_started_ns)
    if pinned_ns <= threshold_ns:
        return
    yield RULE.finding(
        owner,
        f"{owner.label} streams its response, and has held {hold.description}"
        f"{at(hold.opened_at)} for {pinned_ns / 1e9:.1f} s of that without a statement "
        f"({hold.pool.usage})",
        hold.opened_at,
        related=("SW102",),
        details={"idle_seconds": pinned_ns / 1e9, "held_seconds": hold.held_ns(now_ns) / 1e9},
    )
