"""A change as a unified diff, which `git apply` and `patch` read."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from io import BytesIO


def unified_diff(path: str, before: bytes, after: bytes) -> bytes:
    """Return the difference between two contents of one file, in whatever encoding they are."""
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        BytesIO(before).readlines(),
        BytesIO(after).readlines(),
        os.fsencode(f"a/{path}"),
        os.fsencode(f"b/{path}"),
        lineterm=b"\n",
    )
    return b"".join(_ended(lines))


def _ended(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines, and say so where the file has no line end at its end."""
    for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
