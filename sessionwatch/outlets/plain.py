"""Findings, open sessions and pools as plain values for JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sessionwatch.ledger import FindingEntry
from sessionwatch.records.owner import Owner
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.session import SessionRecord, cut
from sessionwatch.records.stack import Frame, Stack


def plain_owner(owner: Owner) -> dict[str, Any]:
    """Return whom something belongs to."""
    return {
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


def plain_session(session: SessionRecord, now_ns: int, statement_length: int) -> dict[str, Any]:
    """Return an open session; the times are in seconds."""
    running = any(hold.running_since_ns for hold in session.connections_out())
    return {
        "owner": plain_owner(session.owner),
        "state": "busy" if running else session.state,
        "age_seconds": (now_ns - session.opened_ns) / 1e9,
        "idle_seconds": 0.0 if running else (now_ns - session.last_used_ns) / 1e9,
        "connections_out": len(session.connections_out()),
        "uncommitted_writes": session.writes_uncommitted if session.transaction else 0,
        "last_statement": session.statement and cut(session.statement, statement_length),
        "opened_at": plain_place(session.opened_at.place),
        "stack": plain_stack(session.opened_at),
        "owner_ended": session.owner.ended_ns > 0,
    }


def plain_pool(pool: PoolRecord) -> dict[str, Any]:
    """Return the state of a pool and what went through it."""
    checkouts, checkins, held_ns = pool.totals()
    return {
        "name": pool.name or pool.class_name,
        "class": pool.class_name,
        "size": pool.size,
        "max_overflow": pool.max_overflow,
        "checked_out": len(pool.holds),
        "checkouts": checkouts,
        "checkins": checkins,
        "waits": pool.waits,
        "timeouts": pool.timeouts,
        "held_seconds": held_ns / 1e9,
        "waited_seconds": pool.waited_ns / 1e9,
    }


def plain_place(frame: Frame | None) -> dict[str, Any] | None:
    """Return a frame's file, line and function."""
    if frame is None:
        return None
    return {"file": frame.file, "line": frame.line, "function": frame.function}


def plain_stack(stack: Stack) -> list[dict[str, Any]]:
    """Return all frames that were kept, innermost first, and whose code each is."""
    return [
        {
            "file": frame.file,
            "line": frame.line,
            "function": frame.function,
            "origin": frame.origin.value,
        }
        for frame in stack.frames()
    ]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
