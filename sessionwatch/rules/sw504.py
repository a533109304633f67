"""SW504 capacity-mismatch: more threads ask for connections than the pool can give."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sessionwatch.records.incident import CheckoutWaited
from sessionwatch.records.redaction import shown_url
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import plural

_BROKEN = """\
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.pool import QueuePool

small = create_engine(
    engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0
)


def work():
    with Session(small) as session:
        session.execute(select(1))
        time.sleep(0.1)


@app.get("/both")
async def both():
    await asyncio.gather(run_in_threadpool(work), run_in_threadpool(work))
"""
_CORRECT = _BROKEN.replace("pool_size=1", "pool_size=40")

RULE = Rule(
    code="SW504",
    name="capacity-mismatch",
    evidence=Evidence.SUSPECT,
    severity=Severity.INFO,
    cause=(
        "Sync handlers and dependencies run in as many threads as anyio's limiter allows, and "
        "the pool can give fewer connections than that: checkouts had to wait, each in a thread "
        "that a request would need to return its connection."
    ),
    fix=(
        "Make pool_size + max_overflow as large as the number of threads, or the threads as few: "
        "`anyio.to_thread.current_default_thread_limiter().total_tokens = ...` in the lifespan."
    ),
    fine=(
        "A small pool on purpose, to spare the database: a wait now and then is what it is for. "
        "As long as no checkout has waited there is no finding, whatever the numbers."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)
INCIDENT = CheckoutWaited


def check(waited: CheckoutWaited) -> Iterator[Finding]:
    """Find a pool that is smaller than the number of threads, and that was waited for."""
    pool, threads = waited.pool, waited.threads
    if pool.capacity is None or threads <= pool.capacity:
        return
    name = pool.name
    shown = shown_url(name)
    number = "any number of" if math.isinf(threads) else f"{threads:.0f}"
    yield RULE.finding(
        waited.owner,
        f"{number} threads may work for requests at once, and the pool {shown} gives "
        f"{plural(pool.capacity, 'connection')} at most; {plural(pool.waits, 'checkout')} had to "
        f"wait, {pool.waited_ns / 1e9:.2f} s in all",
        None,
        subject=name,
        related=("SW501",) if pool.timeouts else (),
        details={
            "pool": shown,
            "threads": None if math.isinf(threads) else threads,
            "capacity": pool.capacity,
            "waits": pool.waits,
            "waited_seconds": pool.waited_ns / 1e9,
        },
    )
