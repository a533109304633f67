"""The courses that owners took, kept so that they can be drawn when somebody asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.transaction import TransactionRecord

if TYPE_CHECKING:
    from sessionwatch.rules.rule import FindingKey

EVENTFUL, ALL, OFF = "eventful", "all", "off"
TIMELINES = (OFF, EVENTFUL, ALL)
"""What the setting `timelines` may be."""
MOST_SESSIONS = 20
"""How many sessions of one owner are kept for its course, and connections without one."""


class Course:
    """An owner with what it used, as it was recorded; the owner itself lets go of its sessions."""

    __slots__ = ("holds", "left_out", "owner", "sessions")

    def __init__(self, owner: Owner) -> None:
        sessions, holds = list(owner.sessions), list(owner.holds)
        self.owner = owner
        self.left_out = max(0, len(sessions) - MOST_SESSIONS)
        """How many more sessions there were."""
        self.sessions: list[tuple[SessionRecord, list[TransactionRecord] | None]] = [
            (session, session.transactions) for session in sessions[:MOST_SESSIONS]
        ]
        self.holds: list[ConnectionHold] = holds[:MOST_SESSIONS]


class Courses:
    """The newest courses, and beside them the newest of each finding; for one thread at a time."""

    def __init__(self, what: str, most: int) -> None:
        self._off = what == OFF
        self._newest: deque[Course] = deque(maxlen=most)
        self._of_findings: dict[FindingKey, Course] = {}
        self.forgotten = 0
        """How many were no longer kept for want of room, but for those of findings."""

    def keep(self, owner: Owner) -> None:
        """Keep the course of an owner that is being judged."""
        if self._off:
            return
        course = Course(owner)
        self.forgotten += len(self._newest) == self._newest.maxlen
        self._newest.append(course)
        for pin in getattr(owner, "pins", ()):
            self._of_findings[pin.key] = course

    def found_later(self, key: FindingKey, owner: Owner) -> None:
        """Keep a course for a finding that was made when its owner had been judged."""
        for course in self._newest:
            if course.owner is owner:
                self._of_findings[key] = course

    def all(self) -> Iterator[Course]:
        """Return every course that is kept, oldest first, those of findings at the end."""
        seen = {}
        for course in (*self._newest, *self._of_findings.values()):
            seen[course.owner.number] = course
        yield from seen.values()

    def find(self, number: int, under_way: Iterable[Owner]) -> Course | None:
        """Return the course of the owner of that number, up to now where it is under way."""
        for owner in under_way:
            if owner.number == number:
                return Course(owner)
        return next((course for course in self.all() if course.owner.number == number), None)
