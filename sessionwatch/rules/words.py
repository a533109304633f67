"""Words that messages have in common."""

from __future__ import annotations

from sessionwatch.records.redaction import STACKS, is_redacted
from sessionwatch.records.stack import Stack


def plural(number: int, word: str) -> str:
    """Return a number with its word: "1 connection", "2 connections"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def at(stack: Stack | None) -> str:
    """Return the place of a stack for a sentence: " at app/db.py:12 in get_db", or nothing."""
    if stack is None or is_redacted(STACKS):
        return ""
    place = stack.place
    return f" at {place}" if place is not None else ""
