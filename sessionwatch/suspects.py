"""Connections that have been idle for too long, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from sessionwatch import rules
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.settings import Settings

if TYPE_CHECKING:
    from sessionwatch.rules.rule import Finding


class _Suspect(NamedTuple):
    finding: Finding
    last_used_ns: int


class Suspects:
    """Finds idle connections with `inspect`, and tells with `settle` which of them resolved."""

    def __init__(
        self,
        settings: Settings,
        report: Callable[[Iterable[Finding]], None],
        resolved: Callable[[Finding, str], None],
    ) -> None:
        self._idle_ns = _nanoseconds(settings.idle_hold_seconds)
        self._stream_ns = _nanoseconds(settings.stream_hold_seconds)
        self._report = report
        self._resolved = resolved
        self._suspects: dict[ConnectionHold, _Suspect] = {}

    def inspect(self, holds: Iterable[ConnectionHold], now_ns: int) -> None:
        """Report each connection that has become a suspect, once for each time that it is idle."""
        for hold in holds:
            if hold in self._suspects:
                continue
            for finding in self._check(hold, now_ns):
                self._report([finding])
                self._suspects[hold] = _Suspect(finding, hold.last_used_ns)

    def settle(self, now_ns: int) -> None:
        """Tell of the suspects that were returned, or are used again."""
        for hold, suspect in list(self._suspects.items()):
            outcome = _outcome(hold, suspect, now_ns)
            if outcome is not None and self._suspects.pop(hold, None) is not None:
                self._resolved(suspect.finding, outcome)

    def _check(self, hold: ConnectionHold, now_ns: int) -> Iterator[Finding]:
        """A stream is named as one, where that is looked for, rather than as an idle hold."""
        if self._stream_ns is not None and hold.owner.is_streaming:
            yield from rules.sw303.check(hold, now_ns, self._stream_ns)
        elif self._idle_ns is not None:
            yield from rules.sw102.check(hold, now_ns, self._idle_ns)


def _outcome(hold: ConnectionHold, suspect: _Suspect, now_ns: int) -> str | None:
    held = f"held {hold.held_ns(now_ns) / 1e9:.1f} s"
    if hold.returned_ns:
        return f"{held}, left to the garbage collector" if hold.reclaimed else f"{held}, returned"
    if hold.last_used_ns != suspect.last_used_ns:
        idle_seconds = (hold.last_used_ns - suspect.last_used_ns) / 1e9
        return f"idle for {idle_seconds:.1f} s, in use again"
    if hold.running_since_ns:
        idle_seconds = (hold.running_since_ns - suspect.last_used_ns) / 1e9
        return f"idle for {idle_seconds:.1f} s, in use again"
    return None


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)
