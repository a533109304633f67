"""Whom sessions are attributed to: a request, a job, or else the process."""

from __future__ import annotations

from asyncio import CancelledError
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from types import CodeType

    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.pool import PoolRecord
    from sessionwatch.records.recorder import Recorder
    from sessionwatch.records.session import SessionRecord
    from sessionwatch.records.stand_in import StandIn
    from sessionwatch.records.transaction import TransactionRecord


MANY_OF_ONE_OWNER = 256
"""How many sessions or connections an owner may have until those done with are summed up early."""


def _is_mere_end(error: BaseException) -> bool:
    """Whether an exception says that the client has gone, or that a script has done its work.

    The classes are Starlette's, in starlette/websockets.py and starlette/requests.py.
    """
    if isinstance(error, SystemExit):
        return error.code in (None, 0)
    return type(error).__name__ in ("WebSocketDisconnect", "ClientDisconnect")


NOTHING_ALLOWED: frozenset[str] = frozenset()
MOST_PINS = 32
"""How many findings of one owner are kept to be drawn."""
_numbers = count(1)


class Pin(NamedTuple):
    """A finding of an owner, without what refers to the owner again."""

    key: Any
    """What the finding is counted under."""
    code: str
    severity: str
    message: str
    at_ns: int
    """The moment that it speaks of."""


class Owner:
    """A request, a job or the process; the times are in nanoseconds, 0 for never."""

    pins: list[Pin]
    """What was found; unset for nearly all."""

    __slots__ = (
        "__weakref__",
        "allowed",
        "cancelled",
        "crowded",
        "ended_ns",
        "endpoint",
        "error",
        "holds",
        "judged",
        "kind",
        "name",
        "number",
        "pins",
        "recorder",
        "response_completed_ns",
        "response_started_ns",
        "route",
        "scope",
        "sessions",
        "started_ns",
        "status",
        "task",
        "waited_for",
    )

    def __init__(self, kind: str, name: str, recorder: Recorder, started_ns: int) -> None:
        self.kind = kind
        self.number = next(_numbers)
        self.name = name
        self.recorder = recorder
        self.started_ns = started_ns
        self.response_started_ns = self.response_completed_ns = self.ended_ns = 0
        self.route: str | None = None
        self.status: int | None = None
        self.error: str | None = None
        self.cancelled = self.judged = self.crowded = False
        self.sessions: dict[SessionRecord, None] = {}
        self.holds: dict[ConnectionHold, None] = {}
        self.scope: Any = None
        self.task: Any = None
        self.waited_for: PoolRecord | None = None
        self.endpoint: CodeType | None = None
        self.allowed = NOTHING_ALLOWED

    @property
    def parent(self) -> StandIn | None:
        """The test inside which a request or job runs; outside of tests it takes no memory."""
        return _parents.get(self) if _parents is not None else None

    @parent.setter
    def parent(self, stand_in: StandIn) -> None:
        global _parents
        if _parents is None:
            _parents = WeakKeyDictionary()
        _parents[self] = stand_in

    @property
    def label(self) -> str:
        """What messages call the owner: its route, as far as it is known, or else its name."""
        if self.route is None and not self.ended_ns:
            try:
                return self.locate() or self.name
            except Exception:  # noqa: BLE001
                self.route = self.name
                self.recorder.hook_failed("locate")
        return self.route or self.name

    def found(self, finding: Any) -> None:
        """Take a finding of its own; what stands in for the process keeps it."""

    def pin(self, pin: Pin) -> None:
        """Keep a finding to be drawn, as long as there are not too many."""
        try:
            pins = self.pins
        except AttributeError:
            pins = self.pins = []
        if len(pins) < MOST_PINS:
            pins.append(pin)

    def locate(self) -> str | None:
        """Return the route, if there is one and it is known yet."""
        return None

    def find_allowed(self) -> frozenset[str]:
        """Return the codes that the owner's own code allows."""
        return NOTHING_ALLOWED

    def end(self, now_ns: int) -> None:
        """Note the end, and let go of everything that belongs to the application."""
        self.route = self.label
        self.ended_ns = now_ns
        found = self.find_allowed()
        if found:
            self.allowed |= found
        self.scope = self.task = None

    def allows(self, code: str) -> bool:
        """Whether the owner does on purpose what this rule looks for."""
        return code in self.allowed or code in self.find_allowed()

    @property
    def is_served(self) -> bool:
        """Whether the owner is a request or WebSocket, rather than a job, a test or the process."""
        return self.kind in ("request", "websocket")

    def note_failure(self, error: BaseException) -> None:
        """Note what the owner raised, by the name of the class alone."""
        if isinstance(error, CancelledError):
            self.cancelled = True
        elif not _is_mere_end(error):
            self.error = type(error).__name__

    @property
    def failed(self) -> bool:
        """Whether the owner raised, was cancelled, or answered with a status of 400 or more."""
        return self.error is not None or self.cancelled or (self.status or 0) >= 400

    @property
    def raised_after_response(self) -> bool:
        """Whether an exception left the owner when its client had the whole response."""
        return self.error is not None and self.response_completed_ns > 0

    @property
    def acknowledged(self) -> bool:
        """Whether whoever asked was told that all went well."""
        if self.kind == "request":
            return self.response_started_ns > 0 and (self.status or 0) < 400
        return not self.failed

    @property
    def is_streaming(self) -> bool:
        """Whether the response has begun and its last byte has not been sent."""
        return self.response_started_ns > 0 and not self.response_completed_ns and not self.ended_ns

    def is_uneventful(self) -> bool:
        """Whether all sessions are closed and none wrote, so that no rule needs to look."""
        if self.holds:
            return False
        for session in self.sessions:
            if not session.closed_ns or session.transactions:
                return False
            if session.reclaimed or session.terminated:
                return False
        return True

    def saved_at_once(self) -> bool:
        """Whether an owner that succeeded has saved all its work at once before it said so.

        All is closed and in order, and there was one commit: no rule has anything to say then.
        """
        if self.holds or self.failed:
            return False
        saved = 0
        for session in self.sessions:
            if not session.closed_ns or session.reclaimed or session.terminated:
                return False
            if session.transaction is not None:
                return False
            for transaction in session.transactions or ():
                saved += 1
                if not transaction.saves_all or transaction.ended_ns > self.response_started_ns > 0:
                    return False
        return saved <= 1

    def written_transactions(self) -> list[tuple[SessionRecord, TransactionRecord]]:
        """Return every root transaction that wrote, in the order in which they ended."""
        written = [
            (session, transaction)
            for session in list(self.sessions)
            for transaction in session.written_transactions()
            if transaction.loses_writes
        ]
        return sorted(written, key=lambda pair: pair[1].ended_ns or _NOT_YET)


_NOT_YET = 1 << 63
_parents: WeakKeyDictionary[Owner, StandIn] | None = None
"""There is none until a test or a block stands in for the process."""
