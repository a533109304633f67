"""Call stacks, kept raw until somebody reads them."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from sessionwatch.records.code_origin import CodeOrigin, origin_of
from sessionwatch.records.redaction import shown_path

RawFrame = tuple[CodeType, int]
"""A code object and the offset of the instruction that it was at, in bytes."""


class Frame(NamedTuple):
    """One place in a source file."""

    file: str
    line: int
    function: str
    origin: CodeOrigin

    def __str__(self) -> str:
        return f"{shown_path(self.file)}:{self.line} in {self.function}"


class Stack:
    """The frames that led to an event, innermost first, as (code, instruction) pairs."""

    __slots__ = ("raw",)

    def __init__(self, raw: tuple[RawFrame, ...]) -> None:
        self.raw = raw

    def frames(self) -> list[Frame]:
        """Return every frame that was kept, innermost first."""
        return [_frame(code, instruction) for code, instruction in self.raw]

    def application_frames(self) -> list[Frame]:
        """Return the frames of the application's own code, or of whoever stands in for it.

        An application that is itself installed among the libraries has no frame of its own; then
        the frames outside SQLAlchemy and the standard library are returned.
        """
        frames = self.frames()
        own = [frame for frame in frames if frame.origin is CodeOrigin.APPLICATION]
        return own or [frame for frame in frames if frame.origin is CodeOrigin.LIBRARY]

    @property
    def place(self) -> Frame | None:
        """The innermost frame of the application, which names the line to look at."""
        return next(iter(self.application_frames()), None)


NO_STACK = Stack(())
"""What stands where no stack was kept."""


def _frame(code: CodeType, instruction: int) -> Frame:
    return _frame_at(code.co_filename, _line_number(code, instruction), code.co_name)


@lru_cache(maxsize=4096)
def _frame_at(filename: str, line: int, function: str) -> Frame:
    """Return the frame; not cached by the code, which is equal to that of a copied file."""
    return Frame(display_path(filename), line, function, origin_of(filename))


def _line_number(code: CodeType, instruction: int) -> int:
    for start, end, line in code.co_lines():
        if line is not None and start <= instruction < end:
            return line
    return code.co_firstlineno


def display_path(filename: str) -> str:
    """Shorten a path to what follows the working directory or an entry of `sys.path`."""
    for base in (str(Path.cwd()), *sys.path):
        prefix = base.rstrip("/\\") + ("\\" if "\\" in base else "/")
        if base and filename.startswith(prefix):
            return filename[len(prefix) :]
    return filename
