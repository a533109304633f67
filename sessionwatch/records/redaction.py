"""What a watch keeps out of every text that it writes, as its setting `redact` says.

It is in force while texts are made and never while anything is recorded, so that it costs nothing
where nothing is shown; and counting, judging and ignoring go by what is really there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SQL = "sql"
"""The text of statements."""
STACKS = "stacks"
"""Every line of source code: where something was opened, and the frames that led there."""
PATHS = "paths"
"""The folders of source files, of SQLite's databases and of pyproject.toml; names are shown."""
REDACTABLE = (SQL, STACKS, PATHS)

_redacted: ContextVar[tuple[str, ...]] = ContextVar("sessionwatch_redacted", default=())


@contextmanager
def redacting(parts: tuple[str, ...]) -> Iterator[None]:
    """Keep `parts`, some of REDACTABLE, out of the texts that are made inside."""
    token = _redacted.set(parts)
    try:
        yield
    finally:
        _redacted.reset(token)


def is_redacted(part: str) -> bool:
    """Whether a part is to be kept out of the text that is being made."""
    return part in _redacted.get()


def shown_path(path: str) -> str:
    """Return a file's path, or its name alone where paths are redacted."""
    if not is_redacted(PATHS):
        return path
    return path[max(path.rfind("/"), path.rfind("\\")) + 1 :]


def shown_url(url: str) -> str:
    """Return an engine's URL, without the folders of a database file where paths are redacted."""
    if not is_redacted(PATHS):
        return url
    scheme, colon, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{colon}{host}{slash}{shown_path(path)}"
