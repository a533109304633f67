"""A change as a unified diff, which `git apply` and `patch` read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator


def unified_diff(path: str, before: str, after: str) -> str:
    """Return the difference between two texts of one file."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
    )
    return "".join(_ended(lines))


def _ended(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines, and say so where the file has no line end at its end."""
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
