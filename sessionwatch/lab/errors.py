"""The one kind of error that the lab shows to its user."""

from __future__ import annotations


class LabError(Exception):
    """Something the user can put right, told in one line that says how."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class's name when it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def with_article(word: str) -> str:
    """Return a class's name as a sentence has it: `a Session`, `an Engine`."""
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
