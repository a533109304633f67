"""`# sessionwatch: ignore[SW606]`: what a line allows, and which comments are of no use."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sessionwatch.lint.source import Module

_COMMENT = re.compile(r"#\s*sessionwatch:\s*ignore(?:\s*\[([^\]]*))?", re.IGNORECASE)


@dataclass(slots=True)
class Ignore:
    """One comment, on the line that it is about."""

    module: Module
    line: int
    about: int
    """The line of code: its own, or the next for a comment that stands alone."""
    codes: frozenset[str]
    """The codes, or what they begin with; "" for all, where none is named."""
    used: set[str] = field(default_factory=set)

    def covers(self, code: str) -> bool:
        """Whether it allows a code; notes that it was of use."""
        fitting = {entry for entry in self.codes if code.startswith(entry)}
        self.used |= fitting
        return bool(fitting)

    def unused(self, known: Iterable[str], checked: Collection[str]) -> list[str]:
        """Return what was looked for and not found here, or does not exist."""
        unchecked = [code for code in known if code not in checked]
        return sorted(
            entry
            for entry in self.codes - self.used
            if not any(code.startswith(entry) for code in unchecked)
        )


def ignores_of(module: Module) -> list[Ignore]:
    """Return the comments of a file, which are told from strings that look like them."""
    if "sessionwatch:" not in module.text:
        return []
    found = []
    lines = module.lines
    for token in tokenize.generate_tokens(io.StringIO(module.text, newline=None).readline):
        match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        if match is None:
            continue
        line = token.start[0]
        alone = not lines[line - 1][: token.start[1]].strip()
        codes = frozenset(filter(None, map(str.strip, (match[1] or "").upper().split(","))))
        about = _next_code(lines, line) if alone else line
        found.append(Ignore(module, line, about, codes or frozenset({""})))
    return found


def _next_code(lines: list[str], line: int) -> int:
    for number in range(line, len(lines)):
        text = lines[number].strip()
        if text and not text.startswith("#"):
            return number + 1
    return line
