"""The verdict on a cell: where its two testimonies part, and what went wrong in words.

No rule is judged here a second time. What sessionwatch says comes from its counts and its codes,
what is true from the database, the pool, the call log and the client.
"""

from __future__ import annotations

from dataclasses import dataclass

from .answers import BurstAnswer
from .testimony import Proven, Recorded


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing that both testimonies speak of."""

    subject: str
    recorded: int | bool
    proven: int | bool
    witness: str
    """Who proves it."""

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.recorded == self.proven

    @property
    def words(self) -> str:
        """Both testimonies in one sentence."""
        return (
            f"{self.subject}: sessionwatch says {_say(self.recorded)}, "
            f"{self.witness} says {_say(self.proven)}"
        )


def compare(recorded: Recorded, proven: Proven, *, is_burst: bool) -> list[Comparison]:
    """Hold the two testimonies of a cell against each other."""
    comparisons = [*_compare_sessions(recorded, proven), *_compare_connections(recorded, proven)]
    return comparisons if is_burst else comparisons + _compare_work(recorded, proven)


def _compare_sessions(recorded: Recorded, proven: Proven) -> list[Comparison]:
    failures = ["errors inside sessionwatch", *(f"({hook})" for hook in recorded.failed_hooks)]
    return [
        Comparison("sessions opened", recorded.opened, proven.opened, "the call log"),
        Comparison("sessions closed", recorded.closed, proven.closed, "the call log"),
        Comparison(" ".join(failures), recorded.internal_errors, 0, "a sound watch"),
    ]


def _compare_connections(recorded: Recorded, proven: Proven) -> list[Comparison]:
    out = proven.out_right_after
    return [
        Comparison("connections out right after", recorded.out_right_after, out, "the pool"),
        Comparison("sessions leaked with a connection", recorded.leaked, out, "the pool"),
        Comparison(
            "connections out after gc.collect()",
            recorded.out_after_collection,
            proven.out_after_collection,
            "the pool",
        ),
        Comparison(
            "checkouts that timed out",
            recorded.pool_timeouts,
            proven.pool_timeouts,
            "the pool",
        ),
    ]


def _compare_work(recorded: Recorded, proven: Proven) -> list[Comparison]:
    """Compare what became of one request's work.

    An audit row without its order is half-done work (SW202) when the order was dropped after the
    row was committed, and plainly lost work when before. What was kept though the request failed
    after the commit is half-done for the watch, and may be whole by itself. The rows can't tell
    which, so there the watch may say either.
    """
    either = proven.audit_orphaned or proven.kept_despite_error
    half_done = proven.half_done or (either and recorded.half_done > 0)
    return [
        Comparison(
            "connections that only the GC returned",
            recorded.reclaimed,
            proven.out_right_after - proven.out_after_collection,
            "the pool",
        ),
        Comparison("anything committed", recorded.committed > 0, proven.kept, "the database"),
        Comparison("work half done", recorded.half_done > 0, half_done, "the database"),
        Comparison(
            "success told and the order not kept",
            _explains_loss(recorded, proven),
            proven.lost,
            "the database",
        ),
        Comparison(
            "success told before a commit that failed",
            recorded.late_commits_failed > 0,
            proven.lost_by_commit,
            "the client and the database",
        ),
        Comparison(
            "committed after the response had started",
            recorded.late_commits > 0,
            proven.late,
            "the database at that moment",
        ),
    ]


def _explains_loss(recorded: Recorded, proven: Proven) -> bool:
    """Whether the watch says, or at least accounts for, what the client was wrongly told.

    SW203 and a failed SW301 say it. The writes of a leaked session are named by its SW101 or
    SW103; an explicit rollback is counted and is no finding.
    """
    if recorded.lost_writes or recorded.late_commits_failed:
        return True
    return proven.lost and (recorded.rolled_back > 0 or recorded.leaked_writes > 0)


def _say(value: int | bool) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


PROBLEMS = {
    "pinned": "the connection stays out even after the garbage collector ran",
    "leak": "the connection stays out until the garbage collector runs",
    "acknowledged-lost": "the client is told success, then the commit fails and the work is gone",
    "lost": "the client is told success, and the work is not in the database",
    "half-done": "half of the work is in the database",
    "kept": "the client is told of an error, and the work is in the database all the same",
    "refused": "requests are refused for want of a connection or a lock",
    "late": "the client is told success before the work is committed",
}
"""What can go wrong in a cell, the worst first."""


def problems_of(proven: Proven, burst: BurstAnswer | None) -> tuple[str, ...]:
    """Return which of `PROBLEMS` are proven for a cell, the worst first."""
    seen = {
        "pinned": proven.out_after_collection > 0,
        "leak": proven.out_right_after > proven.out_after_collection,
        "acknowledged-lost": proven.lost_by_commit,
        "lost": proven.lost and not proven.lost_by_commit,
        "half-done": proven.half_done or proven.audit_orphaned,
        "kept": proven.kept_despite_error and not proven.half_done,
        "refused": burst is not None and burst.refused > 0,
        "late": proven.late and not proven.kept_despite_error,
    }
    return tuple(problem for problem in PROBLEMS if seen[problem])
