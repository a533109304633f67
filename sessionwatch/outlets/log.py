"""Findings through `logging`, to the logger `sessionwatch`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

from sessionwatch.records.mark import MARKS
from sessionwatch.records.redaction import PATHS, STACKS, is_redacted
from sessionwatch.rules.rule import Finding, Severity
from sessionwatch.rules.words import at

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]

LOGGER = logging.getLogger("sessionwatch")
_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
}


def log_finding(finding: Finding, count: int) -> None:
    """Log a finding when it is first seen, and again at every power of ten.

    The first line says it all; the application's frames and the fix follow.
    """
    if str(count).strip("0") == "1":
        _log(_LEVELS[finding.severity], finding_text(finding, count))


def log_no_room(most: int) -> None:
    """Log that findings other than those known are counted alone from now on."""
    _log(
        logging.WARNING,
        f"there is no room for more than {most} different findings: others are only counted, at "
        "/debug/sessions under `dropped`; max_findings makes room",
    )


def log_resolution(finding: Finding, how: str) -> None:
    """Log that a suspect was no more than slow."""
    place = at(finding.opened_at)
    opened = f" opened{place}" if place else ""
    _log(
        logging.INFO,
        f"{finding.code} {finding.rule.title} resolved: {finding.owner.label}{opened}: {how}",
    )


def log_unknown_mark(mark: object) -> None:
    """Log that what stands on a session means nothing."""
    known = ", ".join(repr(each) for each in MARKS)
    _log(
        logging.WARNING,
        f'session.info["sessionwatch"] is {mark!r}, which is ignored; use one of {known}',
    )


def log_failure(hook: str) -> None:
    """Log the exception of ours that is being handled: its class and the lines it went through.

    Its text may hold any value, and the error of the application's that it came upon holds the
    parameters of a statement (`StatementError.__str__`, SQLAlchemy 2.0 and 2.1).
    """
    _log(
        logging.WARNING,
        f"sessionwatch failed in {hook} and goes on without it; please report this",
        _error_without_values(),
    )


def _error_without_values() -> _ExceptionInfo | None:
    error = sys.exception()
    if error is None:
        return None
    kind = type(error)
    namesake = type(kind.__name__, (Exception,), {"__module__": kind.__module__})
    hides_lines = is_redacted(STACKS) or is_redacted(PATHS)
    return kind, namesake(), None if hides_lines else error.__traceback__


def log_unused_ignores(entries: Mapping[str, Sequence[str]]) -> None:
    """Log in one line the ignore entries that matched nothing, by the place where they stand."""
    places = "; ".join(f"{', '.join(each)} from {place}" for place, each in entries.items())
    _log(logging.WARNING, f"these ignores matched no finding: remove {places}")


def _log(level: int, text: str, error: _ExceptionInfo | None = None) -> None:
    """Log without letting a handler of the application's that raises break the application."""
    with suppress(Exception):
        LOGGER.log(level, "%s", text, exc_info=error)


def finding_text(finding: Finding, count: int = 1) -> str:
    """Return a finding as text: what it is, the opening stack, the fix."""
    lines = [finding.message + (f" (seen {count} times)" if count > 1 else "")]
    frames = [] if is_redacted(STACKS) else finding.opened_at.application_frames()
    if frames:
        lines.append("  opened at")
        lines.extend(f"    {frame}" for frame in frames)
    lines.extend(f"  held by: {holder}" for holder in _holders(finding))
    if finding.related:
        lines.append(f"  see also: {', '.join(finding.related)}")
    lines.append(f"  fix: {finding.fix}")
    return "\n".join(lines)


def _holders(finding: Finding) -> list[str]:
    return [
        f"{holder['count']} {holder['state']}: {holder['holder']}"
        for holder in finding.details.get("holders", ())
    ]
