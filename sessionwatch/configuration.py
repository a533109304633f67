"""Settings that are written in pyproject.toml and in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sessionwatch.setting_values import SettingsError, parsed

PREFIX = "SESSIONWATCH_"
Found = tuple[str, Any, str]
"""A setting's name, its value as it was found, and where."""


def settings_of_project() -> Iterator[Found]:
    """Read `[tool.sessionwatch]` of the nearest pyproject.toml from the working directory up.

    Raises `SettingsError` for a file or table that can't be read.
    """
    path = _nearest_pyproject()
    if path is None:
        return
    place = f"[tool.sessionwatch] of {path}"
    seen = set()
    for key, value in _table(path).items():
        name = key.replace("-", "_")
        if name in seen:
            raise SettingsError(
                f"{key!r} is there twice, with dashes and with underscores ({place})"
            )
        seen.add(name)
        yield name, value, place


def settings_of_environment() -> Iterator[Found]:
    """Read every variable that begins with SESSIONWATCH_, and raise `SettingsError` likewise."""
    for variable, text in os.environ.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            place = f"environment variable {variable}"
            yield name, parsed(name, text, place), place


def _nearest_pyproject() -> Path | None:
    """Return the file's path; None also where the working directory is gone or closed to us."""
    try:
        here = Path.cwd()
        folders = (here, *here.parents)
        return next((file for each in folders if (file := each / "pyproject.toml").is_file()), None)
    except OSError:
        return None


def _table(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"can't read {path}: {error}") from None
    tools = document.get("tool", {})
    table = tools.get("sessionwatch", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"tool.sessionwatch is {table!r}; make it a table ({path})")
    return table
