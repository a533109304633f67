"""How many threads may work for requests at once."""

from __future__ import annotations

from anyio import to_thread

from sessionwatch import records
from sessionwatch.instruments.attribution import guarded
from sessionwatch.records.owner import Owner
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.stack import NO_STACK


@guarded
def checkout_waited(owner: Owner, pool: PoolRecord) -> None:
    """Tell of an owner that has waited for a connection; called in the event loop.

    Sync handlers and dependencies run in the threads of anyio's default limiter, which only the
    loop can ask for (`run_in_threadpool` in starlette/concurrency.py, 0.38 to 1.10).
    """
    owner.waited_for = None
    threads = to_thread.current_default_thread_limiter().total_tokens
    process_owner = owner.recorder.process_owner
    owner.recorder.incident(records.incident.CheckoutWaited(process_owner, NO_STACK, pool, threads))
