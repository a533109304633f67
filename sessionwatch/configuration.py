"""Settings that are written in pyproject.toml and in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from sessionwatch.setting_values import (
    GITHUB,
    KINDS,
    PATHS,
    TOOL_KINDS,
    SettingsError,
    checked,
    parsed,
)

PREFIX = "SESSIONWATCH_"
Found = tuple[str, Any, str]
"""A setting's name, its value as it was found, and where."""


def settings_found(folder: Path | None = None) -> Iterator[Found]:
    """Read the settings of a watch in `[tool.sessionwatch]`, then those in the environment.

    The file is the nearest pyproject.toml from a folder up, by default the working directory; a
    variable's name begins with SESSIONWATCH_. Raises `SettingsError` for a file, table or variable
    that can't be read.
    """
    return (found for found in _all_found(folder) if found[0] not in TOOL_KINDS)


def tool_settings(*names: str, folder: Path | None = None) -> dict[str, Any]:
    """Return what is set of these, which are for tools of ours (TOOL_KINDS).

    Raises `SettingsError` for one of them that is wrong, for a name that does not exist, and as
    `settings_found` does.
    """
    return {
        name: checked(name, value, place)
        for name, value, place in _all_found(folder)
        if name in names or name not in KINDS | TOOL_KINDS
    }


def _all_found(folder: Path | None) -> Iterator[Found]:
    yield from _found_in_project(folder)
    yield from _found_in_environment()


def _found_in_project(folder: Path | None) -> Iterator[Found]:
    path = _nearest_pyproject(folder)
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
        yield name, _from_here(value, path.parent) if name in PATHS else value, place


def _from_here(value: Any, folder: Path) -> Any:
    """Return a path that is relative to a folder as it is found from the working directory."""
    is_path = isinstance(value, str) and value.strip() and value != GITHUB
    return str(folder / value) if is_path and folder != Path.cwd() else value


def _found_in_environment() -> Iterator[Found]:
    for variable, text in os.environ.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            place = f"environment variable {variable}"
            yield name, parsed(name, text, place), place


def _nearest_pyproject(folder: Path | None) -> Path | None:
    """Return the file's path; None also where the working directory is gone or closed to us."""
    try:
        here = folder or Path.cwd()
        folders = (here, *here.parents)
        return next((file for each in folders if (file := each / "pyproject.toml").is_file()), None)
    except OSError:
        return None


def _table(path: Path) -> dict[str, Any]:
    try:
        document = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"can't read {path}: {error}") from None
    tools = document.get("tool", {})
    table = tools.get("sessionwatch", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"tool.sessionwatch is {table!r}; make it a table ({path})")
    return table


@lru_cache(maxsize=1)
def _parsed(text: str) -> dict[str, Any]:
    """Parse a file, which takes far longer than to read it, and which each test may ask for."""
    import tomllib

    return tomllib.loads(text)
