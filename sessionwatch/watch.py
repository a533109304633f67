"""The watch: configuration, and the wiring from instruments to outlets."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sessionwatch import instruments, outlets, rules
from sessionwatch.child_tasks import ChildTasks, tasks_that_hold
from sessionwatch.courses import ALL, Course
from sessionwatch.instruments.attribution import adopt, current_owner, running_task
from sessionwatch.instruments.blocking import NEVER_NS
from sessionwatch.instruments.holds import pool_records, pools_now
from sessionwatch.instruments.session_record import read_mark
from sessionwatch.instruments.sessions import notify_when_collected
from sessionwatch.instruments.stacks import CAPTURES
from sessionwatch.instruments.switch import turn_off, turn_on
from sessionwatch.ledger import FindingEntry, Ledger
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import MANY_OF_ONE_OWNER, Owner
from sessionwatch.records.pool import PoolRecord
from sessionwatch.records.redaction import redacting
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.stack import Stack
from sessionwatch.route_totals import RouteTotals
from sessionwatch.selection import Selection
from sessionwatch.settings import Settings
from sessionwatch.suspects import Suspects

if TYPE_CHECKING:
    from sessionwatch.narrowing import Narrowing
    from sessionwatch.records.incident import Incident
    from sessionwatch.rules.rule import Finding
    from sessionwatch.snapshot import Snapshot
    from sessionwatch.watchdog import Watchdog

_RETURNS_BEFORE_TIDYING = 64
_IMPORTED_AT_START = (
    "sessionwatch.records.incident",
    "sessionwatch.instruments.detached",
    "sessionwatch.rules.catalog",
    "sessionwatch.open_sessions",
    "sessionwatch.snapshot",
    "sessionwatch.outlets.log",
    "sessionwatch.outlets.timeline",
)
"""What judges and tells. A request would wait for it, and the interpreter's end for ever, where a
daemon thread of ours has died within an import and keeps its lock."""
_T = TypeVar("_T")


class SessionWatch:
    """Watches every session of the process between `start` and `stop`.

    Without settings, it has those of `Settings.load()`.
    `only` narrows it to some session classes, sessionmakers or engines. `clock` gives nanoseconds
    from any fixed moment, `wall_clock` seconds since the epoch.
    """

    imports_late = False
    """Whether a module is imported when it is needed, as in a test run without a watchdog."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        only: Sequence[Any] = (),
        clock: Callable[[], int] = time.perf_counter_ns,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings.load()
        self.clock = clock
        self.capture = CAPTURES[self.settings.stacks]
        self.process_owner = Owner("process", "process", self, clock())
        self.only = _narrowing(only) if only else None
        blocked = self.settings.loop_blocked_seconds
        self.loop_blocked_ns = NEVER_NS if blocked is None else round(blocked * 1e9)
        self.watches_outbound = "SW304" in (*self.settings.select, *self.settings.extend_select)
        self.engines_made: dict[str, Stack] = {}
        self.redact = self.settings.redact
        self._redacting = _redacting_as(self.settings)
        self.many_sessions = min(MANY_OF_ONE_OWNER, self.settings.max_owner_sessions)
        self.most_transactions = self.settings.max_transactions
        self._wall_clock = wall_clock
        self._ledger = Ledger(self.settings, wall_clock)
        self._draws_all = self.settings.timelines == ALL
        self._selection = Selection(self.settings)
        self._unused_ignores_told = self._no_room_told = False
        self._collected: deque[SessionRecord] = deque()
        self._returned: deque[ConnectionHold] = deque()
        self.internal_errors: Counter[str] = Counter()
        """How often each hook of ours has failed."""
        self._child_tasks = ChildTasks(
            self._child_task_done, self._look_again, self.settings.child_task_grace_seconds
        )
        self._suspects = Suspects(self.settings, self._report, self._suspect_resolved)
        self._watchdog = self._make_watchdog()
        self._unknown_mark_seen = False
        self._starts = 0
        self._starts_lock = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether the watch is started."""
        return self._starts > 0

    def start(self) -> Self:
        """Begin to watch; a watch that is started twice must be stopped twice."""
        if not self.imports_late:
            for name in _IMPORTED_AT_START:
                import_module(name)
        with self._starts_lock:
            self._starts += 1
            if self._starts == 1:
                turn_on(self)
                if self._watchdog is not None:
                    self._watchdog.start()
        return self

    def stop(self) -> None:
        """End what the matching `start` began; the last stop puts SQLAlchemy's methods back."""
        with self._starts_lock:
            if self._starts == 0:
                raise RuntimeError("this watch is not running: each stop() needs a start() before")
            self._starts -= 1
            last = self._starts == 0
            if last:
                if self._watchdog is not None:
                    self._watchdog.stop()
                turn_off(self)
        self._judge_collected()
        if last:
            self.report_unused_ignores()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @contextmanager
    def owner(self, name: str, kind: str = "job") -> Iterator[Owner]:
        """Attribute the sessions opened inside to a job or script of that name.

        It is judged at the end of the `with` block, like a request.
        """
        owner = Owner(kind, name, self, self.clock())
        token = self.begin_owner(owner)
        try:
            yield owner
        except BaseException as error:
            instruments.detached.error_left(owner, error, None)
            raise
        finally:
            current_owner.reset(token)
            self.end_owner(owner)

    def begin_owner(self, owner: Owner) -> Any:
        """Make `owner` the one that sessions belong to; returns the token to reset it with."""
        token = current_owner.set(owner)
        try:
            adopt(owner, token.old_value)
            self._ledger.begin(owner)
            owner.task = running_task()
        except Exception:  # noqa: BLE001
            self.hook_failed("begin_owner")
        return token

    def end_owner(self, owner: Owner) -> None:
        """Judge an owner, as soon as the child tasks that hold its sessions are done."""
        try:
            owner.end(self.clock())
            if owner.parent is not None:
                owner.parent.child_ended(owner)
            if self._draws_all:
                self._judge_when_settled(owner)
            elif owner.is_uneventful():
                self._pass(owner)
            elif owner.saved_at_once():
                self._ledger.keep_course(owner)
                self._pass(owner)
            else:
                self._judge_when_settled(owner)
        except Exception:  # noqa: BLE001
            self.hook_failed("end_owner")
            self._give_up(owner)

    def judge(self, owner: Owner) -> None:
        """Judge an owner that has ended at once, whoever still uses its sessions."""
        if owner.judged:
            return
        try:
            if self._draws_all or not owner.is_uneventful():
                self._child_tasks.forget(owner)
                self._judge_owner(owner)
            else:
                self._pass(owner)
        except Exception:  # noqa: BLE001
            self.hook_failed("judge")
            self._give_up(owner)

    def active_owners(self) -> int:
        """Return how many owners have not been judged yet."""
        return len(self._ledger.live_owners())

    def unused_ignores(self) -> list[str]:
        """Return the entries of `ignore` and `per_route_ignores` that matched no finding yet."""
        return self._selection.unused_ignores()

    def report_unused_ignores(self) -> None:
        """Log them, and where to remove them, unless that was done before."""
        if not self._unused_ignores_told:
            self._unused_ignores_told = True
            with self._redacting():
                unused = self._selection.where_to_remove()
                if unused:
                    outlets.log.log_unused_ignores(unused)

    def snapshot(self) -> Snapshot:
        """Return all that is known now."""
        with self._redacting():
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        from sessionwatch.open_sessions import OpenSessions  # with what tells of them
        from sessionwatch.snapshot import Snapshot

        self._judge_collected()
        now_ns = self.clock()
        self._suspects.settle(now_ns)
        # It looks which of them the garbage collector has taken, which the totals then count.
        open_sessions = OpenSessions(self._sessions(), now_ns, self.settings)
        return Snapshot(
            routes=self._ledger.routes(now_ns, self.process_owner),
            open_sessions=open_sessions,
            findings=[outlets.plain.plain_finding(entry) for entry in self._ledger.findings()],
            pools=[outlets.plain.plain_pool(pool, now_ns) for pool in pools_now()],
            settings=self.settings.to_dict(),
            internal_errors={
                "count": self.internal_errors.total(),
                "by_hook": dict(self.internal_errors),
            },
            unused_ignores=self.unused_ignores(),
            dropped=self._ledger.dropped(),
        )

    def _sessions(self) -> list[SessionRecord]:
        """Return the sessions of all that are under way, and those that outlived their owner."""
        owners = [self.process_owner, *self._ledger.live_owners()]
        sessions = [session for owner in owners for session in list(owner.sessions)]
        return sessions + self._ledger.unsettled_sessions()

    def totals(self) -> RouteTotals:
        """Return the sum over all routes, as a snapshot has it."""
        self._judge_collected()
        for session in self._sessions():
            session.is_gone()  # which the totals then count
        return RouteTotals.sum(self._ledger.routes(self.clock(), self.process_owner).values())

    def timeline(self, number: int) -> dict[str, Any] | None:
        """Return the course of the owner of that number, as far as it is known, as plain values.

        None stands for an owner that there never was, or whose course is not kept (any more).
        """
        self._judge_collected()
        course = self._ledger.course(number, self.process_owner)
        return None if course is None else self._plain_timeline(course)

    def timelines(self) -> list[dict[str, Any]]:
        """Return every course that is kept of an owner that is over, oldest first."""
        self._judge_collected()
        return [self._plain_timeline(course) for course in self._ledger.courses()]

    def _plain_timeline(self, course: Course) -> dict[str, Any]:
        with self._redacting():
            return outlets.timeline.plain_timeline(course, self.clock(), self._wall_clock())

    def inspect_connections(self) -> None:
        """Judge the connections that are out now; the watchdog calls this now and then.

        What the garbage collector has taken is left to others: its connection may be on its way
        back in another thread, and would not be counted.
        """
        try:
            now_ns = self.clock()
            with self._redacting():
                self._suspects.settle(now_ns)
                self._suspects.inspect(self._holds_to_inspect(), now_ns)
            for pool in pool_records():
                pool.sample(now_ns)
        except Exception:  # noqa: BLE001
            self.hook_failed("inspect_connections")

    # What follows is called by the instruments.

    def session_collected(self, session: SessionRecord) -> None:
        """Queue a session that is gone; called by the garbage collector, so without a lock."""
        if not session.folded:
            self._collected.append(session)

    def hold_returned(self, hold: ConnectionHold) -> None:
        """Queue a connection without a session; called by the garbage collector too."""
        self._returned.append(hold)

    def session_settled(self, session: SessionRecord) -> None:
        """Sum up a session that was closed after its owner had ended, or one of very many."""
        owner = session.owner
        if owner.judged:
            settled = self._ledger.settle(session, self.clock())
            if session.late and session.reported is None:
                self._report(rules.sw203.check_session(session))
            if settled:
                self._note_return(session)
        elif getattr(session, "counted", None) is not None:
            self._ledger.settle(session, self.clock())
        elif owner.ended_ns:
            self._judge_when_settled(owner)
        elif owner is not self.process_owner and session.nothing_lost:
            self._ledger.settle(session, self.clock())

    def session_reopened(self, session: SessionRecord) -> None:
        """Count a session as open again."""
        had_returned = self._ledger.reopen(session, self.clock())
        if had_returned and session.reported is not None:
            self._ledger.note_return(session.reported, -1)
        if session.owner.judged:
            self._await_collection(session)
        elif session.owner.crowded:
            self.crowded(session.owner)

    def crowded(self, owner: Owner) -> None:
        """Let go of the oldest of an owner's very many sessions, where there is no room for all."""
        owner.crowded = True
        most = self.settings.max_owner_sessions
        if len(owner.sessions) > most:
            self._judge_collected()
        while len(owner.sessions) > most:
            oldest = next(iter(owner.sessions))
            self._ledger.let_go(oldest, self.clock())
            if not oldest.folded:
                self._await_collection(oldest)

    def engine_url_seen(self, url: str, at: Stack) -> None:
        """Remember where a request created the first engine of a URL; forget the oldest of many."""
        self.engines_made[url] = at
        if len(self.engines_made) > self.settings.max_engine_urls:
            self.engines_made.pop(next(iter(self.engines_made)), None)
            self.dropped("engine_urls")

    def dropped(self, what: str) -> None:
        """Count something that a bound of the settings left no room for."""
        self._ledger.note_dropped(what)

    def session_opened_late(self, session: SessionRecord) -> None:
        """Watch a session of a child task whose owner is over, until the task is, too."""
        session.late = True
        self._ledger.adopt(session, self.clock())
        self._await_collection(session)
        self.tidy()
        self._child_tasks.await_all(tasks_that_hold([session]))

    def tidy(self) -> None:
        """Judge what has come back when a good deal of it waits."""
        if len(self._collected) + len(self._returned) > _RETURNS_BEFORE_TIDYING:
            self._judge_collected()

    def pool_timed_out(self, owner: Owner, pool: PoolRecord, waited_ns: int, at: Stack) -> None:
        """Report a checkout that nobody answered."""
        pool.timeouts += 1
        self._report(rules.sw501.check(owner, pool, waited_ns, at))

    def unknown_mark(self, mark: Any) -> None:
        """Say, once, that what stands on a session means nothing."""
        if not self._unknown_mark_seen:
            self._unknown_mark_seen = True
            outlets.log.log_unknown_mark(mark)

    def incident(self, incident: Incident) -> None:
        """Judge what has just happened."""
        code, check = rules.catalog.INCIDENT_RULES[type(incident)]
        try:
            self._report(check(incident))
        except Exception:  # noqa: BLE001
            self.hook_failed(f"rule {code}")

    def renew_locks(self) -> None:
        """Take locks that nobody holds; called in a forked child."""
        self._starts_lock = threading.Lock()
        self._ledger.renew_lock()

    def hook_failed(self, hook: str, *, at_the_end: Callable[[], bool] = sys.is_finalizing) -> None:
        """Count an exception of our own, and log the first of each hook.

        Not when the interpreter takes its modules apart, where anything may be None.
        """
        if at_the_end():
            return
        self.internal_errors[hook] += 1
        if self.internal_errors[hook] == 1:
            with self._redacting():
                outlets.log.log_failure(hook)

    def _pass(self, owner: Owner) -> None:
        """Sum up an owner that no rule has anything to say about."""
        self._ledger.end(owner, owner.ended_ns)
        owner.sessions.clear()
        if self._collected or self._returned:
            self._judge_collected()

    def _judge_owner(self, owner: Owner) -> None:
        now_ns = self.clock()
        for session in list(owner.sessions):
            if session.is_gone():
                session.end_collected(now_ns)
            elif not session.closed_ns:
                _refresh_mark(session)
        with self._redacting():
            for code, check in rules.catalog.OWNER_RULES.items():
                try:
                    for finding in check(owner):
                        self._report_one(finding)
                except Exception:  # noqa: BLE001
                    self.hook_failed(f"rule {code}")
        self._sum_up(owner, now_ns)

    def _sum_up(self, owner: Owner, now_ns: int) -> None:
        self._ledger.keep_course(owner)
        self._ledger.end(owner, now_ns)
        for session in list(owner.sessions):
            if not session.closed_ns:
                self._await_collection(session)
        owner.sessions.clear()
        if self._collected or self._returned:
            self._judge_collected()

    def _give_up(self, owner: Owner) -> None:
        """Let go of an owner that could not be judged."""
        owner.scope = owner.task = None
        with suppress(Exception):
            self._ledger.end(owner, self.clock())
            owner.sessions.clear()

    def _judge_when_settled(self, owner: Owner) -> None:
        """Judge an ended owner, unless child tasks still hold sessions of its own open.

        Where too many are waited for already, its sessions are judged one by one when they end.
        """
        if not self._child_tasks.gives(owner, self.clock() - owner.ended_ns):
            self._judge_owner(owner)
        elif not self._ledger.follow(owner):
            self._child_tasks.forget(owner)
            for session in owner.sessions:
                session.late = not session.settled
            self._sum_up(owner, self.clock())

    def _look_again(self, owner: Owner) -> None:
        try:
            if not owner.judged:
                self._judge_when_settled(owner)
        except Exception:  # noqa: BLE001
            self.hook_failed("look_again")

    def _child_task_done(self, task: asyncio.Task[Any]) -> None:
        """Judge whoever has waited for this task, and what it opened later and left open."""
        try:
            for owner in self._ledger.live_owners():
                if owner.ended_ns:
                    self._judge_when_settled(owner)
            for session in self._ledger.unsettled_sessions():
                holds = session.task is not None and session.task() is task
                if holds and session.late and session.reported is None:
                    self._report(rules.sw101.check_session(session))
        except Exception:  # noqa: BLE001
            self.hook_failed("child_task_done")

    def _await_collection(self, session: SessionRecord) -> None:
        """Have the garbage collector tell of a session that outlives its owner."""
        live = session.reference() if session.reference is not None else None
        if live is not None:
            notify_when_collected(session, live)
        elif session.is_gone():
            self._collected.append(session)

    def _judge_collected(self) -> None:
        """Judge what the garbage collector took, now that locks may be held again."""
        _drain(self._collected, self._bury, self.hook_failed)
        _drain(self._returned, self._settle_hold, self.hook_failed)

    def _bury(self, session: SessionRecord) -> None:
        if session.awaits_return and self.running and not session.folded:
            self._collected.append(session)
            return
        now_ns = self.clock()
        session.end_collected(now_ns)
        owner = session.owner
        let_go = getattr(session, "counted", None) is not None
        followed = owner is not self.process_owner and not owner.judged and not let_go
        if session.folded or followed:
            return
        self._ledger.settle(session, now_ns)
        if session.reported is None:
            self._report(rules.sw103.check_session(session))
        self._note_return(session)

    def _settle_hold(self, hold: ConnectionHold) -> None:
        owner = hold.owner
        done_with = (
            owner is self.process_owner or owner.judged or len(owner.holds) > MANY_OF_ONE_OWNER
        )
        if done_with and self._ledger.settle_hold(hold, self.clock()):
            if hold.reported is None:
                self._report(rules.sw103.check_connection(hold))
            self._note_return(hold)

    def _make_watchdog(self) -> Watchdog | None:
        thresholds = (self.settings.idle_hold_seconds, self.settings.stream_hold_seconds)
        shortest = min((each for each in thresholds if each is not None), default=None)
        if shortest is None:
            return None
        from sessionwatch.watchdog import Watchdog

        return Watchdog(self.inspect_connections, shortest)

    def _holds_to_inspect(self) -> Iterator[ConnectionHold]:
        """Return the connections that are out, but for those that no session and no owner has.

        Such a one is often meant to stay out, as that of LISTEN or of an advisory lock.
        """
        for pool in pool_records():
            for hold in list(pool.holds):
                if hold.session is not None:
                    _refresh_mark(hold.session)
                elif hold.owner is self.process_owner:
                    continue
                if hold.owner.recorder is self:
                    yield hold

    def _suspect_resolved(self, finding: Finding, how: str) -> None:
        self._ledger.note_resolution(finding.key, how)
        if self.settings.log_findings:
            outlets.log.log_resolution(finding, how)

    def _report(self, findings: Iterable[Finding]) -> None:
        """Report what a rule finds; the rules are generators, which write their messages here."""
        with self._redacting():
            for finding in findings:
                self._report_one(finding)

    def _report_one(self, finding: Finding) -> None:
        if not finding.at_ns:
            finding.at_ns = self.clock()
        if finding.leaked is not None:
            finding.leaked.reported = finding.key
        if finding.owner.allows(finding.code):
            return
        if not self._selection.reports(finding.code, finding.owner.label):
            return
        (finding.owner.parent or finding.owner).found(finding)
        entry = self._ledger.add(finding)
        if self.settings.log_findings:
            self._log(finding, entry)

    def _log(self, finding: Finding, entry: FindingEntry | None) -> None:
        if entry is not None:
            outlets.log.log_finding(finding, entry.count)
        elif not self._no_room_told:
            self._no_room_told = True
            outlets.log.log_no_room(self.settings.max_findings)

    def _note_return(self, leaked: SessionRecord | ConnectionHold) -> None:
        """Note on the finding that what leaked has come back after all."""
        if leaked.reported is not None:
            self._ledger.note_return(leaked.reported)


def _narrowing(only: Sequence[Any]) -> Narrowing:
    from sessionwatch.narrowing import Narrowing

    return Narrowing(only)


def _redacting_as(settings: Settings) -> Callable[[], AbstractContextManager[None]]:
    """Return what puts `redact` in force, which is nothing at all where it is empty."""
    return partial(redacting, settings.redact) if settings.redact else nullcontext


def _refresh_mark(session: SessionRecord) -> None:
    """Read what the user has written on a session that is still there."""
    live = session.reference() if session.reference is not None else None
    if live is not None:
        read_mark(session, live)


def _drain(queue: deque[_T], handle: Callable[[_T], None], failed: Callable[[str], None]) -> None:
    """Handle all that waits, even if another thread does the same, or if handling one raises.

    What is put back meanwhile waits for the next time.
    """
    for _ in range(len(queue)):
        try:
            waiting = queue.popleft()
        except IndexError:
            return
        try:
            handle(waiting)
        except Exception:  # noqa: BLE001
            failed(handle.__name__)
