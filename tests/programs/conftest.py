"""A plain model of sessions on one SQLite file: what each operation does, and what is counted.

It knows SQLAlchemy's rules and SQLite's, and nothing of sessionwatch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from sqlalchemy.exc import (
    IntegrityError,
    InvalidRequestError,
    OperationalError,
    PendingRollbackError,
)


class Foretold(Exception):  # noqa: N818
    """Raised by the model where SQLAlchemy must raise an error of the class `kind`."""

    def __init__(self, kind: type[Exception]) -> None:
        self.kind = kind


class Work:
    """What a connection has begun in the database; it sees the rows of the moment it first looks.

    SQLite lets it write if nobody else does, and if nobody has since it looked.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: frozenset[str] | None = None
        self.rows: set[str] = set()
        self.version = 0
        self.orphans = 0

    def read(self) -> None:
        """Take the snapshot, unless there is one."""
        if self.seen is None:
            self.seen = frozenset(self.world.rows)
            self.rows = set(self.seen)
            self.version = self.world.read_version()

    def write(self) -> None:
        """Take the write lock; the statement's effect is the caller's."""
        writer = self.world.writer
        stale = self.seen is not None and self.version != self.world.read_version()
        if writer is not self and (writer is not None or stale):
            raise Foretold(OperationalError)
        self.world.writer = self
        self.read()

    def end(self) -> None:
        """Let go of the lock."""
        if self.world.writer is self:
            self.world.writer = None

    def persist(self) -> None:
        """Make the rows what everybody sees; SQLite asks for foreign keys now."""
        if self.orphans:
            raise Foretold(IntegrityError)
        if self.world.writer is self:
            self.world.rows = self.rows
        self.end()


class Savepoint:
    """One level of `begin_nested`; SQL is sent for it when it is first worked in."""

    def __init__(self, writes_before: int) -> None:
        self.handle: Any = None
        self.writes_before = writes_before
        self.sent = False
        self.rows: set[str] | None = None
        self.orphans = 0

    def send(self, work: Work) -> None:
        """Keep what the database would go back to."""
        self.sent = True
        self.rows = None if work.seen is None else set(work.rows)
        self.orphans = work.orphans

    def restore(self, work: Work) -> None:
        """Go back to it."""
        work.rows = set(work.seen or ()) if self.rows is None else set(self.rows)
        work.orphans = self.orphans


class Root:
    """A root transaction; `refusal` is what its use raises after a failure.

    Each of the `writes` that nothing has taken back says whether a savepoint with it was released;
    the last `left_open` of them were in savepoints that the root ended with.
    """

    def __init__(self) -> None:
        self.connected = False
        self.work: Work | None = None
        self.commit_tried = False
        self.commit_failed = False
        self.refusal: type[Exception] | None = None
        self.savepoints: list[Savepoint] = []
        self.writes: list[bool] = []
        self.left_open = 0
        self.outcome = "open"
        self.ended_at = 0

    def lost(self) -> set[str]:
        """Return what an owner that succeeded is told of a root that nobody ended on purpose."""
        outside = self.writes[: len(self.writes) - self.left_open]
        released = any(outside) and not self.commit_tried
        lost = set()
        if self.left_open or released:
            lost.add("SW205")
        if outside and not released:
            lost.add("SW203")
        return lost


class ModelOwner:
    """A job, or the process; `books` is what is counted for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.books: Counter[str] = Counter()
        self.sessions: list[ModelSession] = []
        self.judged = False

    def count(self, name: str, number: int = 1) -> None:
        """Add to the books."""
        self.books[name] += number

    def written(self) -> list[Root]:
        """Return every root that holds, or held at its end, writes."""
        roots = [root for session in self.sessions for root in session.all_roots() if root.writes]
        return sorted(roots, key=lambda root: (root.outcome == "open", root.ended_at))


class ModelSession:
    """One session, and `handle`, the real one, until it is dropped."""

    def __init__(self, world: World, owner: ModelOwner, final: bool) -> None:
        self.world = world
        self.owner = owner
        self.final = final
        self.handle: Any = None
        self.reference: Any = None
        self.state = "open"
        self.refuses = False
        self.reported = False
        self.came_back = False
        self.reclaimed = False
        self.pending: list[str] = []
        self.root: Root | None = None
        self.ended: list[Root] = []
        owner.sessions.append(self)
        owner.count("opened")

    def all_roots(self) -> list[Root]:
        """Return the roots that have ended and the one that has not."""
        return [*self.ended, *([self.root] if self.root else [])]

    @property
    def connected(self) -> bool:
        """Whether the session has a connection of the pool."""
        return self.root is not None and self.root.connected

    # Operations: each raises `Foretold` where the real one must raise.

    def add(self, name: str) -> None:
        """Put an item into the session, which begins a transaction."""
        self._begin()
        self.pending.append(name)

    def flush(self) -> None:
        """Insert what was added, in one statement."""
        if not self.pending:
            return
        work, root = self._connect()
        try:
            self._execute()
            work.write()
            if len({*self.pending}) < len(self.pending) or work.rows & {*self.pending}:
                raise Foretold(IntegrityError)
        except Foretold:
            self._fail(root)
            raise
        work.rows |= {*self.pending}
        self._wrote(root)
        self.owner.count("flushes")
        self.pending = []

    def query(self) -> None:
        """Flush, and read."""
        self.flush()
        work, _ = self._connect()
        self._execute()
        work.read()

    def delete(self, name: str) -> None:
        """Delete an item by its name, by a textual statement."""
        self.flush()
        work, root = self._connect()
        self._execute()
        work.write()
        if name in work.rows:
            work.rows.remove(name)
            self._wrote(root)

    def insert_orphan(self) -> None:
        """Write a row that the database will refuse to commit."""
        self.flush()
        work, root = self._connect()
        self._execute()
        work.write()
        work.orphans += 1
        self._wrote(root)

    def execute_nonsense(self) -> None:
        """Execute what is no SQL, which leaves the transaction as it was."""
        self.flush()
        self._connect()
        self._execute()
        raise Foretold(OperationalError)

    def begin_savepoint(self) -> None:
        """Begin a savepoint, before which what was added is flushed."""
        root = self._usable()
        self.flush()
        root.savepoints.append(Savepoint(len(root.writes)))

    def release(self, level: int) -> None:
        """Release the savepoint of this level and all within it."""
        root = self.root
        assert root is not None
        for savepoint in reversed(root.savepoints[level:]):
            self._usable()
            self.flush()
            if savepoint.sent:
                self._execute("release_savepoint")
            self.owner.count("savepoints_released")
            inside = root.writes[savepoint.writes_before :]
            root.writes[savepoint.writes_before :] = [True] * len(inside)
            root.savepoints.pop()

    def roll_back_to(self, level: int) -> None:
        """Roll back the savepoint of this level and all within it."""
        root = self.root
        assert root is not None
        del root.writes[root.savepoints[level].writes_before :]
        self._end_savepoints(root, level)
        self.pending = []

    def commit(self) -> None:
        """Release every savepoint, flush and commit; once that failed, it takes a rollback."""
        if self.root is not None and self.root.commit_failed:
            self._refuse(PendingRollbackError)
        root = self._usable()
        self.release(0)
        root.commit_tried = True
        self.flush()
        if root.work is not None:
            self.world.happened("commit")
            try:
                root.work.persist()
            except Foretold:
                root.commit_failed = True
                root.refusal = InvalidRequestError
                raise
        self.owner.count("committed")
        self._end(root, "committed")

    def rollback(self) -> None:
        """Roll back all, if there is anything."""
        root = self.root
        if root is None:
            return
        if root.savepoints:
            self.roll_back_to(0)
        self._roll_back_database(root)
        self.owner.count("rolled_back")
        self._end(root, "rolled back")

    def close(self, how: str) -> None:
        """Close, reset or invalidate: what was written and not committed is gone."""
        root = self.root
        if root is not None:
            if root.savepoints:
                root.left_open = len(root.writes) - root.savepoints[0].writes_before
            self._end_savepoints(root, 0)
            self._roll_back_database(root)
            self.owner.count("discarded", root.writes != [])
            self._end(root, "discarded")
        self.owner.count("closed", self.state != "closed")
        self.state = "closed"
        self.refuses = self.refuses or (self.final and how != "reset")
        self._returned_later()

    def collect(self) -> None:
        """Be taken by the garbage collector, which returns the connection."""
        root = self.root
        if root is not None:
            self.reclaimed = root.connected
            self.owner.count("discarded", root.writes != [])
            self._end(root, "discarded")
        if self.state == "closed":
            return
        self.state = "collected"
        self.owner.count("collected")
        if self.owner.judged or self.owner is self.world.process:
            if self.reclaimed and not self.reported:
                self.world.found("SW103", self.owner)
            self._returned_later()

    # How they do it.

    def _begin(self) -> Root:
        if self.refuses:
            raise Foretold(InvalidRequestError)
        if self.root is None:
            if self.came_back:
                self.world.returned_later[self.owner.name] -= 1
                self.reported, self.came_back = True, False
            self.root = Root()
            self.owner.count("closed", -(self.state == "closed"))
            self.state = "open"
        return self.root

    def _usable(self) -> Root:
        root = self._begin()
        if root.refusal is not None:
            self._refuse(root.refusal)
        return root

    def _refuse(self, kind: type[Exception]) -> NoReturn:
        """Raise; whoever is told that a rollback is due has gone on after a failure."""
        if kind is PendingRollbackError:
            self.world.found("SW204", self.owner)
        raise Foretold(kind)

    def _connect(self) -> tuple[Work, Root]:
        root = self._usable()
        if not root.connected:
            root.connected = True
            root.work = Work(self.world)
            self.owner.count("checkouts")
            self.world.happened("checkouts", "begin")
        assert root.work is not None
        for savepoint in root.savepoints:
            if not savepoint.sent:
                self._execute("savepoint")
                savepoint.send(root.work)
        return root.work, root

    def _execute(self, *events: str) -> None:
        self.owner.count("statements")
        self.world.happened("statements", *events)

    def _wrote(self, root: Root) -> None:
        root.writes.append(False)
        self.owner.count("writes")

    def _fail(self, root: Root) -> None:
        """A flush failed: SQLAlchemy takes back the innermost level, and waits for a rollback."""
        self.pending = []
        if root.savepoints:
            self._send_rollback_to(root, root.savepoints[-1])
            del root.writes[root.savepoints[-1].writes_before :]
        else:
            self._roll_back_database(root)
        root.refusal = PendingRollbackError

    def _end_savepoints(self, root: Root, level: int) -> None:
        for savepoint in reversed(root.savepoints[level:]):
            if root.refusal is None:
                self._send_rollback_to(root, savepoint)
            root.refusal = None
            root.savepoints.pop()

    def _send_rollback_to(self, root: Root, savepoint: Savepoint) -> None:
        if savepoint.sent:
            assert root.work is not None
            self._execute("rollback_savepoint")
            savepoint.restore(root.work)

    def _roll_back_database(self, root: Root) -> None:
        """Roll back, unless that has been done; a failed COMMIT leaves it to the pool."""
        if root.work is not None and not root.commit_failed:
            self.world.happened("rollback")
            root.work.end()
            root.work = None

    def _end(self, root: Root, outcome: str) -> None:
        if root.connected:
            self.owner.count("checkins")
            self.world.happened("checkins")
        if root.work is not None:
            root.work.end()
        root.outcome = outcome
        root.ended_at = self.world.now
        self.ended.append(root)
        self.root = None
        self.pending = []

    def _returned_later(self) -> None:
        self.world.returned_later[self.owner.name] += self.reported
        self.came_back = self.came_back or self.reported
        self.reported = False


class World:
    """The database, the sessions, their owners and what is found about them.

    `read_version` asks SQLite for a number that changes when the file does.
    """

    def __init__(self, read_version: Callable[[], int]) -> None:
        self.read_version = read_version
        self.now = 0
        self.rows: set[str] = set()
        self.writer: Work | None = None
        self.events: Counter[str] = Counter()
        self.findings: Counter[tuple[str, str]] = Counter()
        self.returned_later: Counter[str] = Counter()
        self.process = ModelOwner("process")
        self.owners = [self.process]
        self.nested = [self.process]

    def happened(self, *events: str) -> None:
        """Note events that SQLAlchemy must have sent."""
        self.events.update(events)

    def found(self, code: str, owner: ModelOwner) -> None:
        """Note a finding that there must be."""
        self.findings[code, owner.name] += 1

    def open(self, final: bool) -> ModelSession:
        """Open a session of whoever is the owner now."""
        return ModelSession(self, self.nested[-1], final)

    def begin_owner(self) -> ModelOwner:
        """Begin a job inside the one that runs."""
        owner = ModelOwner(f"job {len(self.owners)}")
        self.owners.append(owner)
        self.nested.append(owner)
        return owner

    def end_owner(self, failed: bool) -> None:
        """End the innermost job, and foretell what is found about it."""
        owner = self.nested.pop()
        owner.judged = True
        for code in self._judge(owner, failed):
            self.found(code, owner)

    def _judge(self, owner: ModelOwner, failed: bool) -> Iterator[str]:
        for session in owner.sessions:
            yield from self._judge_closing(session)
            if not failed:
                yield from self._judge_losses(session)
        written = owner.written()
        commits = [root for root in written if root.outcome == "committed"]
        if len(commits) > 1 and not failed:
            yield "SW201"
        if commits and (failed or written[written.index(commits[0]) :] != commits):
            yield "SW202"

    @staticmethod
    def _judge_closing(session: ModelSession) -> Iterator[str]:
        if session.state == "closed":
            return
        if session.reclaimed:
            yield "SW103"
        elif session.connected:
            session.reported = True
            yield "SW101"
        else:
            yield "SW107"

    @staticmethod
    def _judge_losses(session: ModelSession) -> Iterator[str]:
        """What the garbage collector took along with an unclosed session is SW103's to tell."""
        collected = session.ended[-1:] if session.state == "collected" else []
        for root in session.ended:
            if root.outcome == "discarded" and root not in collected:
                yield from root.lost()


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    """Makes a model that is told how to read the version of the database."""
    return World


@pytest.fixture(scope="session")
def foretold() -> type[Foretold]:
    """What the model raises."""
    return Foretold
