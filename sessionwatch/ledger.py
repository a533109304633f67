"""What is kept of the past: totals per route, findings, and who is still under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sessionwatch.courses import Course, Courses
from sessionwatch.kept_stacks import KeptStacks
from sessionwatch.pacing import paced
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.counts import Counts
from sessionwatch.records.owner import Owner, Pin
from sessionwatch.records.session import SessionRecord, cut
from sessionwatch.route_totals import RouteTotals
from sessionwatch.settings import Settings

if TYPE_CHECKING:
    from sessionwatch.rules.rule import Finding, FindingKey

OTHER_ROUTES = "(other)"
BOUNDS = (
    "findings",
    "routes",
    "open_sessions",
    "owner_sessions",
    "owners",
    "stacks",
    "transactions",
    "engine_urls",
    "timelines",
)
"""What the settings bound, each by its name without "max_"."""
_GONE = object()
_LEAK = "SW101"


@dataclass(slots=True, eq=False, repr=False)
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
        self._most_owners = settings.max_owners
        self._most_routes = settings.max_routes
        self._stacks = KeptStacks(settings.max_stacks)
        self._courses = Courses(settings.timelines, settings.max_timelines)
        self._dropped = dict.fromkeys(BOUNDS, 0)

    def renew_lock(self) -> None:
        """Take a lock that nobody holds; for a forked child."""
        self._lock = threading.RLock()

    def begin(self, owner: Owner) -> None:
        """Take note of an owner that is under way, unless there are too many."""
        if len(self._live) < self._most_owners:
            self._live[owner] = None
        else:
            self.note_dropped("owners")

    def follow(self, owner: Owner) -> bool:
        """Return whether an owner is followed, or is from now on as there is room again."""
        if owner not in self._live:
            if len(self._live) >= self._most_owners:
                return False
            self._live[owner] = None
        return True

    def end(self, owner: Owner, now_ns: int) -> None:
        """Add an ended owner to its route; its sessions that are still open stay under watch."""
        with self._lock:
            self._live.pop(owner, None)
            owner.judged = True
            if not owner.sessions and not owner.holds and not owner.crowded:
                return
            route = self._route(owner.route or owner.label)
            route.owners += 1
            for session in list(owner.sessions):
                if session.folded:
                    continue
                if session.closed_ns or (session.collected and not session.awaits_return):
                    session.folded = True
                    session.add_to(route.counts, now_ns)
                    if session.checkouts:
                        route.held.note(session.held_ns)
                else:
                    self._keep_unsettled(session, now_ns)
            if owner.holds:
                self._end_holds(owner, route, now_ns)

    def _end_holds(self, owner: Owner, route: RouteTotals, now_ns: int) -> None:
        for hold in list(owner.holds):
            if hold.returned_ns:
                if owner.holds.pop(hold, _GONE) is not _GONE:
                    hold.add_to(route.counts, now_ns)
            elif len(self._unsettled_holds) < self._settings.max_open_sessions:
                self._unsettled_holds[hold] = None
            else:
                self._count_as_it_stands(hold, now_ns)
                self._dropped["open_sessions"] += 1

    def adopt(self, session: SessionRecord, now_ns: int) -> None:
        """Keep a session that was opened when its owner had ended."""
        with self._lock:
            self._keep_unsettled(session, now_ns)

    def let_go(self, session: SessionRecord, now_ns: int) -> None:
        """Count a session of an owner that goes on as it stands, so that nobody need keep it."""
        with self._lock:
            session.owner.sessions.pop(session, None)
            self._dropped["owner_sessions"] += 1
            if session.closed_ns and session.transaction is None:
                self._fold(session, now_ns)
            else:
                self._count_as_it_stands(session, now_ns)

    def settle(self, session: SessionRecord, now_ns: int) -> bool:
        """Add a session that was closed, or is gone, and that its owner need not keep any more.

        Returns whether it had not been added before.
        """
        with self._lock:
            session.owner.sessions.pop(session, None)
            self._unsettled.pop(session, None)
            if session.folded:
                return False
            self._fold(session, now_ns)
            return True

    def settle_hold(self, hold: ConnectionHold, now_ns: int) -> bool:
        """Add a connection without a session that came back, unless that was done before."""
        with self._lock:
            if hold.owner.holds.pop(hold, _GONE) is _GONE:
                return False
            self._unsettled_holds.pop(hold, None)
            self._count_no_more(hold)
            hold.add_to(self._route(hold.owner.label).counts, now_ns)
            return True

    def reopen(self, session: SessionRecord, now_ns: int) -> bool:
        """Take a settled session back out of the totals, as it is in use again.

        Returns whether it was settled.
        """
        with self._lock:
            was_settled = session.folded
            if was_settled:
                route = self._route(session.owner.label)
                route.counts.subtract(session.counts(now_ns))
                if session.checkouts:
                    route.held.take_back(session.held_ns)
                session.folded = False
                session.closed_ns = 0
                if session.owner.judged:
                    self._keep_unsettled(session, now_ns)
            if not session.owner.judged:
                session.owner.sessions[session] = None
            return was_settled

    def add(self, finding: Finding) -> FindingEntry | None:
        """Keep a finding, or count it with those that are the same; None when there is no room."""
        now = self._wall_clock()
        with self._lock:
            if finding.code == _LEAK:
                self._route(finding.owner.label).leaked += 1
            entry = self._findings.get(finding.key)
            if entry is None:
                if len(self._findings) >= self._settings.max_findings:
                    self._dropped["findings"] += 1
                    return None
                entry = self._findings[finding.key] = FindingEntry(finding, 0, now, now)
            entry.finding = finding
            entry.count += 1
            entry.last_seen = now
            self._pin(finding)
            return entry

    def _pin(self, finding: Finding) -> None:
        """Keep what is drawn of a finding, with its owner's course if that is over."""
        owner, key = finding.owner, finding.key
        owner.pin(Pin(key, finding.code, finding.severity.value, finding.message, finding.at_ns))
        if owner.judged:
            self._courses.found_later(key, owner)

    def keep_course(self, owner: Owner) -> None:
        """Keep what an owner did, which is being judged, so that it can be drawn."""
        with self._lock:
            self._courses.keep(owner)

    def course(self, number: int, process: Owner) -> Course | None:
        """Return what the owner of that number did, or None where that is not kept."""
        with self._lock:
            return self._courses.find(number, (process, *self._live))

    def courses(self) -> list[Course]:
        """Return what is kept of owners that are over, oldest first."""
        with self._lock:
            return list(self._courses.all())

    def note_return(self, key: FindingKey, sessions: int = 1) -> None:
        """Note that a session which a finding speaks of came back, or (-1) is out once more."""
        with self._lock:
            entry = self._findings.get(key)
            if entry is not None:
                entry.returned_later += sessions

    def note_resolution(self, key: FindingKey, how: str) -> None:
        """Note that a suspect which a finding speaks of has resolved."""
        with self._lock:
            entry = self._findings.get(key)
            if entry is not None:
                entry.resolved += 1
                entry.resolution = how

    def note_dropped(self, what: str) -> None:
        """Count something that a bound left no room for."""
        with self._lock:
            self._dropped[what] += 1

    def dropped(self) -> dict[str, int]:
        """Return how much there was no room for, by the name of the bound without "max_"."""
        others = self._routes.get(OTHER_ROUTES)
        return {
            **self._dropped,
            "routes": others.owners if others is not None else 0,
            "stacks": self._stacks.refused,
            "timelines": self._courses.forgotten,
        }

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
        with self._lock:
            totals = {name: route.copy() for name, route in list(self._routes.items())}
            live = [
                (owner, list(owner.sessions), list(owner.holds)) for owner in (process, *self._live)
            ]
            unsettled = list(self._unsettled)
            unsettled_holds = list(self._unsettled_holds)
        for owner, sessions, holds in live:
            if sessions or holds:
                route = self._total_of(owner.label, totals)
                route.owners += owner is not process
                for session in paced(sessions):
                    session.add_to(route.counts, now_ns)
                for hold in holds:
                    hold.add_to(route.counts, now_ns)
        for session in paced(unsettled):
            route = self._total_of(session.owner.label, totals)
            session.add_to(route.counts, now_ns)
        for hold in unsettled_holds:
            route = self._total_of(hold.owner.label, totals)
            hold.add_to(route.counts, now_ns)
        return totals

    def _keep_unsettled(self, session: SessionRecord, now_ns: int) -> None:
        """Follow a session without what only its owner's rules have asked for, if there is room."""
        if len(self._unsettled) < self._settings.max_open_sessions:
            self._unsettled[session] = None
        else:
            self._count_as_it_stands(session, now_ns)
            self._dropped["open_sessions"] += 1
        session.opened_at = self._stacks.keep(session.opened_at)
        if session.statement is not None:
            session.statement = cut(session.statement, self._settings.statement_length)
        if not session.late:
            session.transactions = None

    def _count_as_it_stands(self, record: SessionRecord | ConnectionHold, now_ns: int) -> None:
        """Add what is open and not followed; the record itself knows what to take back later."""
        counts = Counts()
        record.add_to(counts, now_ns)
        record.counted = counts
        self._route(record.owner.label).counts.add(counts)

    def _count_no_more(self, record: SessionRecord | ConnectionHold) -> None:
        counted = getattr(record, "counted", None)
        if counted is not None:
            self._route(record.owner.label).counts.subtract(counted)
            record.counted = None

    def _route(self, label: str) -> RouteTotals:
        return self._total_of(label, self._routes)

    def _total_of(self, label: str, totals: dict[str, RouteTotals]) -> RouteTotals:
        """Return the entry of a route, or that of all others when there are too many."""
        route = totals.get(label)
        if route is None:
            if len(totals) >= self._most_routes:
                label = OTHER_ROUTES
                route = totals.get(label)
            if route is None:
                route = totals[label] = RouteTotals()
        return route

    def _fold(self, session: SessionRecord, now_ns: int) -> None:
        self._count_no_more(session)
        session.folded = True
        route = self._route(session.owner.label)
        session.add_to(route.counts, now_ns)
        if session.checkouts:
            route.held.note(session.held_ns)
