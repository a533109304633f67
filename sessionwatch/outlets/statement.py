"""SQL as it is shown: without the values that are written into it, and cut in length.

Parameters never come this far. What is left are literals, which hold personal data as soon as
somebody writes `text("... WHERE email = 'ada@example.org'")`.
"""

from __future__ import annotations

import re

from sessionwatch.records.redaction import SQL, is_redacted

REDACTED = "(redacted)"

# Where databases disagree on what ends a string (a backslash before its quote), a comment (one
# inside another) or on what is a name ("Ada Lovelace" is a string to MySQL), more is hidden rather
# than less. Every repetition is possessive: no text makes the pattern backtrack.
_PARTS = re.compile(
    r"""
    (?P<name> "[^\W\d]\w*+" | `[^`]*+` )
    | (?P<comment> /\*(?:(?!\*/|/\*).)*+\*/ | --[^\n]*+ )
    | (?P<literal>
        '(?:[^'\\]|''|\\(?!'))*+'
        | "(?:[^"\\]|""|\\(?!"))*+"
        | \$(?P<tag>(?:[^\W\d]\w*+)?+)\$(?:(?!\$(?P=tag)\$).)*+\$(?P=tag)\$
        | (?<![\w$:@%?])\.?+\d[\w.]*+
      )
    | (?P<endless> (?:['"`]|/\*|\$(?:[^\W\d]\w*+)?+\$).*+ )
    """,
    re.DOTALL | re.VERBOSE,
)


def shown_statement(text: str | None, length: int) -> str | None:
    """Return a statement with `?` for every literal and no comment, at most `length` long."""
    if text is None:
        return None
    if is_redacted(SQL):
        return REDACTED
    shown = _PARTS.sub(_shown_part, text).strip()
    return shown if len(shown) <= length else shown[:length] + "…"


def _shown_part(part: re.Match[str]) -> str:
    if part["name"] is not None:
        return part["name"]
    return "" if part["comment"] is not None else "?"
