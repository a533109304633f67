"""Findings, owners, places and pools as plain values for JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sessionwatch.ledger import FindingEntry
from sessionwatch.records.owner import Owner
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.redaction import STACKS, is_redacted, shown_path, shown_url
from sessionwatch.records.stack import Frame, Stack


def plain_owner(owner: Owner) -> dict[str, Any]:
    """Return whom something belongs to."""
    return {
        "id": owner.number,
        "kind": owner.kind,
        "name": owner.label,
        "route": owner.label if owner.is_served else None,
        "status": owner.status,
        "error": owner.error,
        "cancelled": owner.cancelled,
    }


def plain_finding(entry: FindingEntry) -> dict[str, Any]:
    """Return a finding with its count; the times are UTC in ISO 8601."""
    finding = entry.finding
    details = dict(finding.details)
    if entry.returned_later:
        details["returned_later"] = entry.returned_later
    if entry.resolved:
        details["resolved"] = entry.resolved
        details["resolution"] = entry.resolution
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "evidence": finding.evidence.value,
        "message": finding.message,
        "cause": finding.rule.cause,
        "fix": finding.fix,
        "count": entry.count,
        "owner": plain_owner(finding.owner),
        "opened_at": plain_place(finding.place),
        "stack": plain_stack(finding.opened_at),
        "related": list(finding.related),
        "details": details,
        "first_seen": _time(entry.first_seen),
        "last_seen": _time(entry.last_seen),
    }


def plain_pool(pool: PoolRecord, now_ns: int) -> dict[str, Any]:
    """Return the state of a pool and what went through it, with samples of the last minutes."""
    checkouts, checkins, held_ns = pool.totals()
    return {
        "name": shown_url(pool.name),
        "class": pool.class_name,
        "size": pool.size,
        "max_overflow": pool.max_overflow,
        "checked_out": len(pool.holds),
        "idle": pool.idle,
        "overflow": pool.overflow,
        "waiting": pool.waiting,
        "checkouts": checkouts,
        "checkins": checkins,
        "waits": pool.waits,
        "timeouts": pool.timeouts,
        "held_seconds": held_ns / 1e9,
        "waited_seconds": pool.waited_ns / 1e9,
        "history": [
            {"seconds_ago": (now_ns - at_ns) / 1e9, "checked_out": out, "waiting": waiting}
            for at_ns, out, waiting in list(pool.history)
        ],
    }


def plain_place(frame: Frame | None) -> dict[str, Any] | None:
    """Return a frame's file, line and function."""
    if frame is None or is_redacted(STACKS):
        return None
    return {"file": shown_path(frame.file), "line": frame.line, "function": frame.function}


def plain_stack(stack: Stack) -> list[dict[str, Any]]:
    """Return all frames that were kept, innermost first, and whose code each is."""
    if is_redacted(STACKS):
        return []
    return [
        {
            "file": shown_path(frame.file),
            "line": frame.line,
            "function": frame.function,
            "origin": frame.origin.value,
        }
        for frame in stack.frames()
    ]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
