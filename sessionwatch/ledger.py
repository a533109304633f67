"""What is kept of the past: totals per route, findings, and who is still under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.rules.rule import Finding, FindingKey
from sessionwatch.settings import Settings
from sessionwatch.snapshot import RouteTotals

OTHER_ROUTES = "(other)"
_GONE = object()


@dataclass(slots=True)
class FindingEntry:
    """A finding, how often it was seen, and when, in seconds since the epoch."""

    finding: Finding
    count: int
    first_seen: float
    last_seen: float
    returned_later: int = 0
    """How many of the leaked sessions came back after all."""
    resolved: int = 0
    """How many of the suspects turned out to be no more than slow."""
    resolution: str | None = None
    """What became of the last of them."""


class Ledger:
    """Bounded and thread-safe; also for what a session's user does in the garbage collector.

    It may close the generator that `next(get_db())` has left, and so a session, at any allocation
    of a thread that is in here already.
    """

    def __init__(self, settings: Settings, wall_clock: Callable[[], float]) -> None:
        self._settings = settings
        self._wall_clock = wall_clock
        self._lock = threading.RLock()
        self._routes: dict[str, RouteTotals] = {}
        self._findings: dict[FindingKey, FindingEntry] = {}
        self._live: dict[Owner, None] = {}
        self._unsettled: dict[SessionRecord, None] = {}
        self._unsettled_holds: dict[ConnectionHold, None] = {}

    def renew_lock(self) -> None:
        """Take a lock that nobody holds; for a forked child."""
        self._lock = threading.RLock()

    def begin(self, owner: Owner) -> None:
        """Take note of an owner that is under way."""
        self._live[owner] = None

    def end(self, owner: Owner, now_ns: int) -> None:
        """Add an ended owner to its route; its sessions that are still open stay under watch."""
        with self._lock:
            self._live.pop(owner, None)
            owner.judged = True
            if not owner.sessions and not owner.holds:
                return
            route = self._route(owner.label)
            route.owners += 1
            for session in list(owner.sessions):
                if session.folded:
                    continue
                if session.closed_ns or (session.collected and not session.awaits_return):
                    session.folded = True
                    session.add_to(route.counts, now_ns)
                else:
                    self._keep_unsettled(session)
            if owner.holds:
                self._end_holds(owner, route, now_ns)

    def _end_holds(self, owner: Owner, route: RouteTotals, now_ns: int) -> None:
        for hold in list(owner.holds):
            if hold.returned_ns:
                if owner.holds.pop(hold, _GONE) is not _GONE:
                    route.counts.add(hold.counts(now_ns))
            elif len(self._unsettled_holds) < self._settings.max_open_sessions:
                self._unsettled_holds[hold] = None

    def adopt(self, session: SessionRecord) -> None:
        """Keep a session that was opened when its owner had ended."""
        with self._lock:
            self._keep_unsettled(session)

    def settle(self, session: SessionRecord, now_ns: int) -> None:
        """Add a session that was closed, or is gone, after its owner had ended."""
        with self._lock:
            self._unsettled.pop(session, None)
            if not session.folded:
                self._fold(session, self._route(session.owner.label), now_ns)

    def settle_hold(self, hold: ConnectionHold, now_ns: int) -> None:
        """Add a connection without a session that came back after its owner had ended."""
        with self._lock:
            self._unsettled_holds.pop(hold, None)
            self._route(hold.owner.label).counts.add(hold.counts(now_ns))

    def reopen(self, session: SessionRecord, now_ns: int) -> None:
        """Take a settled session back out of the totals, as it is in use again."""
        with self._lock:
            if session.folded:
                self._route(session.owner.label).counts.subtract(session.counts(now_ns))
                session.folded = False
                if session.owner.judged:
                    self._keep_unsettled(session)

    def add(self, finding: Finding) -> FindingEntry | None:
        """Keep a finding, or count it with those that are the same; None when there is no room."""
        now = self._wall_clock()
        with self._lock:
            entry = self._findings.get(finding.key)
            if entry is None:
                if len(self._findings) >= self._settings.max_findings:
                    return None
                entry = self._findings[finding.key] = FindingEntry(finding, 0, now, now)
            entry.finding = finding
            entry.count += 1
            entry.last_seen = now
            return entry

    def note_return(self, key: FindingKey) -> None:
        """Note that a session which a finding speaks of has come back."""
        with self._lock:
            entry = self._findings.get(key)
            if entry is not None:
                entry.returned_later += 1

    def note_resolution(self, key: FindingKey, how: str) -> None:
        """Note that a suspect which a finding speaks of has resolved."""
        with self._lock:
            entry = self._findings.get(key)
            if entry is not None:
                entry.resolved += 1
                entry.resolution = how

    def live_owners(self) -> list[Owner]:
        """Return the owners that have not been judged yet."""
        return list(self._live)

    def unsettled_sessions(self) -> list[SessionRecord]:
        """Return the sessions that outlived their owner."""
        return list(self._unsettled)

    def findings(self) -> list[FindingEntry]:
        """Return the findings, in the order in which they were first seen."""
        with self._lock:
            return list(self._findings.values())

    def routes(self, now_ns: int, process: Owner) -> dict[str, RouteTotals]:
        """Return the totals per route, with what is under way counted in."""
        totals: dict[str, RouteTotals] = {}
        with self._lock:
            for name, route in self._routes.copy().items():
                totals.setdefault(name, RouteTotals()).add(route)
            live = [process, *self._live]
            unsettled = list(self._unsettled)
            unsettled_holds = list(self._unsettled_holds)
        for owner in live:
            sessions, holds = list(owner.sessions), list(owner.holds)
            if sessions or holds:
                route = totals.setdefault(owner.label, RouteTotals())
                route.owners += owner is not process
                for session in sessions:
                    session.add_to(route.counts, now_ns)
                for hold in holds:
                    route.counts.add(hold.counts(now_ns))
        for session in unsettled:
            route = totals.setdefault(session.owner.label, RouteTotals())
            session.add_to(route.counts, now_ns)
        for hold in unsettled_holds:
            route = totals.setdefault(hold.owner.label, RouteTotals())
            route.counts.add(hold.counts(now_ns))
        return totals

    def _keep_unsettled(self, session: SessionRecord) -> None:
        if len(self._unsettled) < self._settings.max_open_sessions:
            self._unsettled[session] = None

    def _route(self, label: str) -> RouteTotals:
        route = self._routes.get(label)
        if route is None:
            if len(self._routes) >= self._settings.max_routes:
                label = OTHER_ROUTES
            route = self._routes.setdefault(label, RouteTotals())
        return route

    @staticmethod
    def _fold(session: SessionRecord, route: RouteTotals, now_ns: int) -> None:
        session.folded = True
        session.add_to(route.counts, now_ns)
