"""Who stands in for the process: a test, a fixture, or a block that is to leave nothing open."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from sessionwatch.records.counts import Counts
from sessionwatch.records.one_leak import codes_by_chance
from sessionwatch.records.owner import NOTHING_ALLOWED, Owner

if TYPE_CHECKING:
    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.recorder import Recorder
    from sessionwatch.records.session import SessionRecord

_OF_WORK = "SW2"
"""What these codes tell of is a test's own business: it writes in order to throw it away."""
_FOR_EVER_NS = 1 << 62
Threads = frozenset[weakref.ref[threading.Thread]]
"""Kept weakly: a thread that is over may refer to all that it worked for, as anyio's do."""
_NOBODY: Threads = frozenset()


class OtherThreads:
    """The threads that run beside the one that asks, mostly the same from test to test."""

    def __init__(self) -> None:
        self._running: list[weakref.ref[threading.Thread]] = []
        self._asking: weakref.ref[threading.Thread] | None = None
        self._others = _NOBODY

    def now(self) -> Threads:
        """Return those that run now."""
        if threading.active_count() == 1:
            self._running, self._others = [], _NOBODY
            return _NOBODY
        running = [weakref.ref(thread) for thread in threading.enumerate()]
        asking = weakref.ref(threading.current_thread())
        if running != self._running or asking != self._asking:
            self._running, self._asking = running, asking
            self._others = frozenset(running) - {asking}
        return self._others


class StandIn(Owner):
    """An owner that takes what nobody else owns, with the requests and jobs that run inside.

    What happens in a thread that was there before is not its own: that may work for anybody.
    """

    __slots__ = (
        "bystanders",
        "children",
        "ended_holds",
        "ended_sessions",
        "findings",
        "permitted",
        "permitted_and_found",
    )

    def __init__(
        self, kind: str, name: str, recorder: Recorder, started_ns: int, bystanders: Threads
    ) -> None:
        Owner.__init__(self, kind, name, recorder, started_ns)
        self.bystanders = bystanders
        self.children: dict[Owner, None] = {}
        self.ended_sessions: list[SessionRecord] = []
        self.ended_holds: list[ConnectionHold] = []
        self.findings: list[Any] = []
        """What was found of it and its children, and is not permitted."""
        self.permitted = NOTHING_ALLOWED
        """The codes of what may be found of it and its children, or what they begin with."""
        self.permitted_and_found: set[str] = set()

    def is_bystander(self) -> bool:
        """Whether this thread was there before, so that what it does is not the test's."""
        return weakref.ref(threading.current_thread()) in self.bystanders

    def is_uneventful(self, longest_ns: int = _FOR_EVER_NS) -> bool:
        """Whether everything is closed, whatever was written, so that no rule needs to look.

        And whether no session has held connections for longer than `longest_ns`.
        """
        for session in list(self.sessions):
            if not session.closed_ns or session.reclaimed or session.terminated:
                return False
            if session.held_ns > longest_ns:
                return False
        return not self.holds or all(
            hold.returned_ns and not hold.reclaimed for hold in list(self.holds)
        )

    def child_began(self, owner: Owner) -> None:
        """Note a request or job that runs inside."""
        self.children[owner] = None

    def child_ended(self, owner: Owner) -> None:
        """Keep what a request or job has used, which it lets go of when it has been judged."""
        self.ended_sessions += owner.sessions
        self.ended_holds += owner.holds

    def found(self, finding: Any) -> None:
        """Take a finding of its own, or of a request or job that ran inside."""
        code = finding.code
        if self.judged:
            self.recorder.process_owner.found(finding)  # too late for the test's own verdict
            return
        permitted = self.permits(code)
        if permitted:
            self.permitted_and_found |= permitted
        elif finding.owner is not self or not code.startswith(_OF_WORK):
            self.findings.append(finding)

    def permits(self, code: str) -> frozenset[str]:
        """Return by which of the permitted codes a finding of this code may be, none by default."""
        codes = codes_by_chance(code)
        return frozenset(
            entry for entry in self.permitted if any(each.startswith(entry) for each in codes)
        )

    def used_sessions(self) -> list[SessionRecord]:
        """Return every session that was opened inside so far."""
        if self.ended_ns and not self.children:
            return [*self.ended_sessions]
        own = [session for owner in self._under_way() for session in list(owner.sessions)]
        return self.ended_sessions + own

    def used_holds(self) -> list[ConnectionHold]:
        """Return every connection that was checked out inside and that no session had."""
        own = [hold for owner in self._under_way() for hold in list(owner.holds)]
        return self.ended_holds + own

    def counts(self, now_ns: int) -> Counts:
        """Return the numbers of all of them."""
        counts = Counts()
        for session in self.used_sessions():
            session.add_to(counts, now_ns)
        for hold in self.used_holds():
            hold.add_to(counts, now_ns)
        return counts

    def foreign_counts(self) -> Counts | None:
        """Return the numbers of those sessions that another watch has counted, if there are any."""
        foreign = [each for each in self.ended_sessions if each.owner.recorder is not self.recorder]
        if not foreign:
            return None
        counts = Counts()
        for session in foreign:
            session.add_to(counts, self.ended_ns)
        return counts

    def leaves_connections_out(self) -> bool:
        """Whether a connection is out now that was checked out inside."""
        return any(session.connections_out() for session in self.used_sessions()) or any(
            not hold.returned_ns for hold in self.used_holds()
        )

    def judge_all(self, now_ns: int) -> None:
        """End, and judge with those requests and jobs whose child tasks are not done yet."""
        if self.children:
            for child in list(self.children):
                if child.ended_ns:
                    child.recorder.judge(child)
        self.route, self.ended_ns = self.name, now_ns
        if self.sessions or self.holds:
            self.child_ended(self)
        self.recorder.judge(self)

    def let_go(self) -> None:
        """Let go of what was used inside, which refers to it: nobody asks for it any more."""
        if self.children:
            self.children.clear()
        if self.ended_sessions:
            self.ended_sessions.clear()
        if self.ended_holds:
            self.ended_holds.clear()

    def _under_way(self) -> list[Owner]:
        return [owner for owner in (self, *self.children) if not owner.ended_ns]
