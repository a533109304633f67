"""The course of an owner as one plain value: lanes on one time axis, which any outlet can draw.

All times are seconds since the owner began, None for an end that has not come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sessionwatch.courses import Course
from sessionwatch.outlets.plain import plain_owner, plain_place
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.stack import Stack
from sessionwatch.records.transaction import Joining, Outcome, TransactionRecord

Plain = dict[str, Any]
Seconds = Callable[[int], float]


def plain_timeline(course: Course, now_ns: int, wall_now: float) -> Plain:
    """Return what an owner did and when, up to `now_ns`; `wall_now` is that moment's date."""
    owner = course.owner

    def seconds(at_ns: int) -> float:
        return max(0, at_ns - owner.started_ns) / 1e9

    began = datetime.fromtimestamp(wall_now - seconds(now_ns), UTC)
    lanes = [_owner_lane(owner, seconds)]
    for number, (session, transactions) in enumerate(course.sessions, start=1):
        lanes += _session_lanes(number, session, transactions or (), seconds)
    for hold in course.holds:
        lanes.append(_connection_lane("connection", None, [_hold_span(hold, seconds)]))
    lasted = [owner.ended_ns and seconds(owner.ended_ns), *_known_times(lanes)]
    return {
        "owner": plain_owner(owner),
        "began": began.isoformat(timespec="milliseconds"),
        "seconds": seconds(now_ns) if _goes_on(lanes) else max(lasted),
        "response_started": owner.response_started_ns and seconds(owner.response_started_ns),
        "ended": bool(owner.ended_ns),
        "sessions_left_out": course.left_out,
        "lanes": lanes,
        "findings": [
            {
                "at": seconds(pin.at_ns),
                "code": pin.code,
                "severity": pin.severity,
                "message": pin.message,
            }
            for pin in sorted(getattr(owner, "pins", ()), key=lambda pin: pin.at_ns)
        ],
    }


def _lane(kind: str, title: str, session: int | None, spans: list[Plain]) -> Plain:
    return {"kind": kind, "title": title, "session": session, "spans": spans, "moments": []}


def _span(since: float, until: float | None, state: str) -> Plain:
    return {"from": since, "to": until, "state": state}


def _moment(at: float, kind: str, words: str, place: Stack | None = None, writes: int = 0) -> Plain:
    where = plain_place(place.place) if place is not None else None
    return {"at": at, "kind": kind, "words": words, "place": where, "writes": writes}


def _owner_lane(owner: Owner, seconds: Seconds) -> Plain:
    """The request itself: when it began, what it answered and when, and how it ended."""
    ended = seconds(owner.ended_ns) if owner.ended_ns else None
    lane = _lane("owner", owner.label, None, [_span(0.0, ended, "running")])
    moments = lane["moments"]
    if owner.response_started_ns:
        started = seconds(owner.response_started_ns)
        moments.append(_moment(started, "response", f"the response starts: {owner.status}"))
    if owner.response_completed_ns:
        completed = seconds(owner.response_completed_ns)
        moments.append(_moment(completed, "last byte", "the last byte of the response is sent"))
    if ended is not None:
        moments.append(_moment(ended, *_ending(owner)))
    return lane


def _ending(owner: Owner) -> tuple[str, str]:
    if owner.error is not None and owner.kind == "request" and not owner.response_started_ns:
        return "raised", f"ends with {owner.error} before any response: the server answers 500"
    if owner.error is not None:
        return "raised", f"ends with {owner.error}"
    return ("cancelled", "is cancelled") if owner.cancelled else ("end", "ends")


def _session_lanes(
    number: int,
    session: SessionRecord,
    kept: list[TransactionRecord] | tuple[()],
    seconds: Seconds,
) -> Iterator[Plain]:
    """A session, its transactions and its connections, a lane for each."""
    opened = seconds(session.opened_ns)
    back_ns = max((hold.returned_ns for hold in session.holds or ()), default=0)
    gone_ns = session.closed_ns or (session.collected and (back_ns or session.last_used_ns))
    closed = seconds(gone_ns) if gone_ns else None
    state = "closed" if session.closed_ns else session.state
    lane = _lane("session", f"session {number}", number, [_span(opened, closed, state)])
    lane["moments"].append(_moment(opened, "open", "is opened", session.opened_at))
    if session.closed_ns:
        assert closed is not None
        lane["moments"].append(_moment(closed, "close", "is closed"))
    elif session.collected:
        when = "" if back_ns else "at some time after its last use, "
        words = f"is taken by the garbage collector, {when}unclosed"
        lane["moments"].append(_moment(closed or opened, "collected", words))
    yield lane
    transactions = _transactions(session, kept)
    if transactions:
        lane = _lane("transaction", "transaction", number, [])
        for each in transactions:
            ended = seconds(each.ended_ns) if each.ended_ns else None
            lane["spans"].append(_span(seconds(each.began_ns), ended, each.outcome.value))
            lane["moments"] += _transaction_moments(each, seconds)
        yield lane
    spans = [
        _span(seconds(out_ns), seconds(back_ns), "returned")
        for _, out_ns, back_ns in session.past_holds or ()
    ]
    spans += [_hold_span(hold, seconds) for hold in session.holds or ()]
    if spans:
        yield _connection_lane("connection", number, spans)


def _transactions(
    session: SessionRecord, kept: list[TransactionRecord] | tuple[()]
) -> list[TransactionRecord]:
    """Return the root transactions that are known, in the order in which they began."""
    known = [*(session.quiet or ()), *kept, *(session.transactions or ())]
    known += [each for each in (session.last_ended, session.transaction) if each is not None]
    return sorted(dict.fromkeys(known), key=lambda each: each.began_ns)


def _transaction_moments(transaction: TransactionRecord, seconds: Seconds) -> Iterator[Plain]:
    yield _moment(seconds(transaction.began_ns), "begin", "begins")
    for flushed_ns in transaction.flushed_ns or ():
        yield _moment(seconds(flushed_ns), "flush", "pending changes are flushed")
    writes = transaction.writes
    if transaction.commit_failed:
        words = f"the commit fails{_because(transaction)}"
        at = seconds(transaction.commit_attempted_ns)
        yield _moment(at, "commit fails", words, writes=writes)
    if transaction.ended_ns:
        kind, words = _outcome(transaction)
        ended_by = transaction.ended_by if transaction.ended_by.raw else None
        yield _moment(seconds(transaction.ended_ns), kind, words, ended_by, writes)


def _because(transaction: TransactionRecord) -> str:
    return f", after {transaction.error}" if transaction.error else ""


def _outcome(transaction: TransactionRecord) -> tuple[str, str]:
    """Name how a transaction ended, and say it in words."""
    writes = f"{transaction.writes} {'write' if transaction.writes == 1 else 'writes'}"
    if transaction.outcome is Outcome.COMMITTED:
        what = writes if transaction.writes else "a transaction without writes"
        if transaction.joined is Joining.SAVEPOINT:
            return "release", f"{what}: the savepoint is released into the outer transaction"
        return "commit", f"{what} committed"
    if transaction.outcome is Outcome.ROLLED_BACK:
        return "rollback", f"{writes} rolled back" if transaction.writes else "is rolled back"
    if transaction.loses_writes:
        return "discarded", f"ends with no commit, {writes} discarded"
    return "end", "ends; there was nothing to commit"


def _connection_lane(title: str, number: int | None, spans: list[Plain]) -> Plain:
    lane = _lane("connection", title, number, spans)
    for span in spans:
        lane["moments"].append(_moment(span["from"], "checkout", "is taken from the pool"))
        if span["to"] is not None:
            kind, words = _RETURNS[span["state"]]
            lane["moments"].append(_moment(span["to"], kind, words))
    return lane


_RETURNS = {
    "returned": ("return", "comes back to the pool"),
    "reclaimed": ("reclaimed", "is given back by the garbage collector"),
    "terminated": ("terminated", "is thrown away"),
}


def _hold_span(hold: ConnectionHold, seconds: Seconds) -> Plain:
    if not hold.returned_ns:
        return _span(seconds(hold.checked_out_ns), None, "out")
    state = "reclaimed" if hold.reclaimed else "terminated" if hold.terminated else "returned"
    return _span(seconds(hold.checked_out_ns), seconds(hold.returned_ns), state)


def _known_times(lanes: list[Plain]) -> Iterator[float]:
    for lane in lanes:
        for span in lane["spans"]:
            yield from (each for each in (span["from"], span["to"]) if each is not None)


def _goes_on(lanes: list[Plain]) -> bool:
    return any(span["to"] is None for lane in lanes for span in lane["spans"])
