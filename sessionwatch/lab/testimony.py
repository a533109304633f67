"""The two testimonies of a cell: what the watch recorded, and what was proven without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .answers import is_success
from .evidence import Rows

Snapshot = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What sessionwatch says, read from its snapshots and from nothing else."""

    opened: int
    closed: int
    committed: int
    rolled_back: int
    out_right_after: int
    """Connections that the watch believed out when the request had settled."""
    out_after_collection: int
    leaked: int
    """Sessions reported as SW101 when the request had settled, and not returned since."""
    leaked_writes: int
    """Writes that nobody had committed in the sessions of SW101 and SW103."""
    reclaimed: int
    """Connections that the watch saw come back through the garbage collector."""
    half_done: int
    """Errors of SW202 and SW206."""
    lost_writes: int
    """Findings of SW203."""
    late_commits: int
    """Findings of SW301 whose commit succeeded, and those of others that name it."""
    late_commits_failed: int
    """Findings of SW301 whose commit failed."""
    pool_timeouts: int
    """Findings of SW501."""
    internal_errors: int
    failed_hooks: tuple[str, ...]
    """The hooks of the watch in which they happened."""

    @classmethod
    def read(cls, right_after: Snapshot, after_collection: Snapshot) -> Recorded:
        """Read the snapshot taken right after the request and the one after `gc.collect()`."""
        totals = right_after["totals"]
        findings = after_collection["findings"]
        return cls(
            opened=totals["opened"],
            closed=totals["closed"],
            committed=totals["committed"],
            rolled_back=totals["rolled_back"],
            out_right_after=_out(right_after),
            out_after_collection=_out(after_collection),
            leaked=_still_leaked(right_after["findings"]),
            leaked_writes=_detail(findings, "uncommitted_writes"),
            reclaimed=_count(findings, "SW103") + _detail(findings, "returned_later"),
            half_done=_count(findings, "SW202", "error") + _count(findings, "SW206", "error"),
            lost_writes=_count(findings, "SW203"),
            late_commits=_count(findings, "SW301", "warning") + _count_related(findings, "SW301"),
            late_commits_failed=_count(findings, "SW301", "error"),
            pool_timeouts=_count(findings, "SW501"),
            internal_errors=after_collection["internal_errors"]["count"],
            failed_hooks=tuple(after_collection["internal_errors"]["by_hook"]),
        )


@dataclass(frozen=True, slots=True)
class Proven:
    """What the client was told, and what the call log, the pool and the database show."""

    status: int | None
    """The status the client was told; None when no answer came, or for a burst."""
    opened: int
    closed: int
    calls: tuple[str, ...]
    """What was called on each session, as `commit, close`."""
    out_right_after: int
    """`pool.checkedout()` when the request had settled."""
    out_after_collection: int
    """`pool.checkedout()` after `gc.collect()`."""
    kept: bool
    """Whether anything that the request wrote is in the database."""
    half_done: bool
    """Whether an invariant of the demo app is broken in the database."""
    audit_orphaned: bool
    """Whether the background task's audit row tells of an order that is not there."""
    lost: bool
    """Whether the client was told success and its order is not in the database."""
    late: bool
    """Whether the order came into the database only after the response had started."""
    errors_after_success: tuple[str, ...]
    """Classes of what left the application when the client had been told of success."""
    pool_timeouts: int
    """Checkouts that the lab's own pool saw waiting in vain."""

    @property
    def lost_by_commit(self) -> bool:
        """Whether it was lost because the database refused the commit after the response."""
        return self.lost and "IntegrityError" in self.errors_after_success

    @property
    def kept_despite_error(self) -> bool:
        """Whether the client was told of an error and what was written is kept all the same."""
        return self.kept and (self.status or 0) >= 400


def prove(status: int | None, settled: Mapping[str, Any], collected: Mapping[str, Any]) -> Proven:
    """Put together a cell's proof from the client's status and the worker's two answers."""
    before, after = Rows(**collected["before"]), Rows(**collected["after"])
    at_start = collected["at_response_start"]
    order_saved = after.order_saved_since(before)
    return Proven(
        status=status,
        opened=settled["opened"],
        closed=settled["closed"],
        calls=tuple(settled["calls"]),
        out_right_after=settled["out"],
        out_after_collection=collected["out"],
        kept=after != before,
        half_done=after.half_done_since(before),
        audit_orphaned=after.audits_without_order > before.audits_without_order,
        lost=is_success(status) and not order_saved,
        late=(
            order_saved and at_start is not None and not Rows(**at_start).order_saved_since(before)
        ),
        errors_after_success=tuple(collected["errors_after_success"]),
        pool_timeouts=collected["pool_timeouts"],
    )


def _out(snapshot: Snapshot) -> int:
    return sum(pool["checked_out"] for pool in snapshot["pools"])


def _count(findings: list[dict[str, Any]], code: str, severity: str | None = None) -> int:
    return sum(
        finding["count"]
        for finding in findings
        if finding["code"] == code and severity in (None, finding["severity"])
    )


def _count_related(findings: list[dict[str, Any]], code: str) -> int:
    return sum(finding["count"] for finding in findings if code in finding["related"])


def _still_leaked(findings: list[dict[str, Any]]) -> int:
    leaks = [finding for finding in findings if finding["code"] == "SW101"]
    return _count(leaks, "SW101") - _detail(leaks, "returned_later")


def _detail(findings: list[dict[str, Any]], name: str) -> int:
    return sum(finding["details"].get(name, 0) for finding in findings)
