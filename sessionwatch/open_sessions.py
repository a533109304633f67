"""The sessions that are open at a moment: noted at once, and described when somebody reads on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from operator import itemgetter
from typing import Any, overload

from sessionwatch.outlets.plain import plain_owner, plain_place, plain_stack
from sessionwatch.outlets.statement import shown_statement
from sessionwatch.pacing import paced
from sessionwatch.records.owner import Owner
from sessionwatch.records.redaction import redacting
from sessionwatch.records.session import SessionRecord
from sessionwatch.records.stack import Stack
from sessionwatch.settings import Settings

_Row = tuple[Owner | dict[str, Any], int, int, str, int, int, str | None, Stack]
_Place = tuple[dict[str, Any] | None, list[dict[str, Any]]]
_OPENED_NS = itemgetter(1)


class OpenSessions(Sequence[dict[str, Any]]):
    """Those of some sessions that are open now, oldest first, each as plain values.

    To note them takes a small part of the time that it takes to describe them.
    """

    def __init__(self, sessions: Iterable[SessionRecord], now_ns: int, settings: Settings) -> None:
        self._now_ns = now_ns
        self._settings = settings
        self._rows = sorted(_rows(sessions), key=_OPENED_NS)
        self._places: dict[tuple[tuple[int, int], ...], _Place] = {}
        self._statements: dict[str | None, str | None] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        with redacting(self._settings.redact):
            if isinstance(index, slice):
                return [self._describe(row) for row in self._rows[index]]
            return self._describe(self._rows[index])

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))

    def of(self, owner: str) -> OpenSessions:
        """Return those of the owner of that name alone."""
        return self._with(row for row in self._rows if _name(row) == owner)

    def matching(self, text: str) -> OpenSessions:
        """Return those whose owner, opening place or last statement has a text, in any case."""
        text = text.casefold()
        with redacting(self._settings.redact):
            return self._with([row for row in self._rows if text in self._text(row)])

    def longest_idle_first(self) -> OpenSessions:
        """Return the same in another order; those that run a statement now come last."""
        return self._with(sorted(self._rows, key=_idle_order))

    def owners(self) -> set[str]:
        """Return the names of their owners."""
        return {_name(row) for row in self._rows}

    def _with(self, rows: Iterable[_Row]) -> OpenSessions:
        others = copy(self)
        others._rows = list(rows)
        return others

    def _text(self, row: _Row) -> str:
        """Return what can be searched for, which is what is shown."""
        *_, statement, opened_at = row
        place, _ = self._place(opened_at)
        where = f"{place['file']}:{place['line']} {place['function']}" if place else ""
        return f"{_name(row)}\n{where}\n{self._shown(statement) or ''}".casefold()

    def _shown(self, statement: str | None) -> str | None:
        """Return a statement as it is shown, which is found out once for all that have it."""
        if statement not in self._statements:
            length = self._settings.statement_length
            self._statements[statement] = shown_statement(statement, length)
        return self._statements[statement]

    def _describe(self, row: _Row) -> dict[str, Any]:
        owner, opened_ns, last_used_ns, state, connections, writes, statement, opened_at = row
        place, stack = self._place(opened_at)
        return {
            "id": f"{opened_ns:x}",
            "owner": plain_owner(owner) if isinstance(owner, Owner) else owner,
            "state": state,
            "age_seconds": (self._now_ns - opened_ns) / 1e9,
            "idle_seconds": 0.0 if state == "busy" else (self._now_ns - last_used_ns) / 1e9,
            "connections_out": connections,
            "uncommitted_writes": writes,
            "last_statement": self._shown(statement),
            "opened_at": place,
            "stack": stack,
            "owner_ended": isinstance(owner, Owner),
        }

    def _place(self, stack: Stack) -> _Place:
        """Describe a stack, once for all sessions that were opened there.

        The identities of its code objects tell it, which live as long as the rows: code of equal
        content is equal, even in another file.
        """
        key = tuple((id(code), instruction) for code, instruction in stack.raw)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = plain_place(stack.place), plain_stack(stack)
        return place


def _name(row: _Row) -> str:
    owner = row[0]
    return owner.label if isinstance(owner, Owner) else str(owner["name"])


def _idle_order(row: _Row) -> tuple[bool, int]:
    _, _, last_used_ns, state, *_ = row
    return state == "busy", last_used_ns


def _rows(sessions: Iterable[SessionRecord]) -> Iterator[_Row]:
    """Note each session that is open; what an owner under way is like is told at once."""
    under_way: dict[Owner, dict[str, Any]] = {}
    for session in paced(sessions):
        if session.closed_ns or session.is_gone():
            continue
        owner: Owner | dict[str, Any] = session.owner
        if not session.owner.ended_ns:
            owner = under_way.get(session.owner) or plain_owner(session.owner)
            under_way[session.owner] = owner
        connections, state = 0, "in transaction" if session.transaction else "open"
        if session.holds:
            out = session.connections_out()
            connections = len(out)
            if any(hold.running_since_ns for hold in out):
                state = "busy"
        writes = session.writes_uncommitted if session.transaction else 0
        yield (
            owner,
            session.opened_ns,
            session.last_used_ns,
            state,
            connections,
            writes,
            session.statement,
            session.opened_at,
        )
