"""What each setting may be, and how it is read from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sessionwatch import rules
from sessionwatch.courses import TIMELINES
from sessionwatch.instruments.stacks import CAPTURES
from sessionwatch.records.redaction import REDACTABLE

LEVELS = ("off", "warn", "error")
"""What the pytest plugin may do about findings."""
GITHUB = "github"
"""What stands in the place of a report's file for annotations, which GitHub reads in the output."""
PATHS = ("report", "baseline")
"""The settings that are paths, in a pyproject.toml from its folder."""


class SettingsError(ValueError):
    """A setting that is wrong: one line says which, what is right, and where it stands."""


_MOST_SECONDS = 1e9


class Kind(NamedTuple):
    """The values that a setting takes; `check` returns the value or raises `SettingsError`."""

    check: Callable[[str, Any], Any]
    parse: Callable[[str], Any]
    """Reads an environment variable; text that it can't read is left for `check` to refuse."""


def checked(name: str, value: Any, place: str) -> Any:
    """Return a setting's value, lists as tuples; raise `SettingsError` that names the place."""
    try:
        return kind_of(name).check(name, value)
    except SettingsError as error:
        raise SettingsError(f"{error} ({place})") from None


def parsed(name: str, text: str, place: str) -> Any:
    """Return a setting's value from an environment variable; raise `SettingsError` likewise."""
    try:
        return kind_of(name).parse(text)
    except SettingsError as error:
        raise SettingsError(f"{error} ({place})") from None


def kind_of(name: str) -> Kind:
    """Return the kind of a setting; raise `SettingsError` for an unknown name."""
    kinds = KINDS | TOOL_KINDS
    if name not in kinds:
        raise SettingsError(
            f"unknown setting {name!r}; did you mean {rules.lookup.nearest(name, kinds)!r}?"
        )
    return kinds[name]


def _capture(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in CAPTURES:
        raise SettingsError(f"{name} is {value!r}; use one of {', '.join(CAPTURES)}")
    return value


def _timelines(name: str, value: Any) -> str:
    if value not in TIMELINES:
        raise SettingsError(f"{name} is {value!r}; use one of {', '.join(TIMELINES)}")
    return str(value)


def _level(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in LEVELS:
        raise SettingsError(f"{name} is {value!r}; use one of {', '.join(LEVELS)}")
    return value


def _path(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{name} is {value!r}; use the path of a file")
    return value


def _patterns(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise SettingsError(f"{name} is {value!r}; use a list of paths or patterns")
    return tuple(value)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} is {value!r}; use true or false")
    return value


def _token(name: str, value: Any) -> str | None:
    """Check without ever showing the value, which is a secret."""
    if value is not None and not isinstance(value, str):
        raise SettingsError(f"{name} is of type {type(value).__name__}; use a string")
    if value is not None and not value.strip():
        raise SettingsError(f"{name} is empty; leave it out, or give it a value")
    if value is not None and not _can_be_sent(value):
        raise SettingsError(f"{name} has characters that no header can carry")
    return value


def _can_be_sent(token: str) -> bool:
    try:
        token.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingsError(f"{name} is {value!r}; use a whole number from 1 up")
    return value


def _threshold(name: str, value: Any) -> float | None:
    if _is_turned_off(value):
        return None
    if not _is_number(value) or value <= 0:
        raise SettingsError(f"{name} is {value!r}; use a number of seconds above 0, or none")
    return float(value)


def _grace(name: str, value: Any) -> float | None:
    if _is_turned_off(value):
        return None
    if not _is_number(value) or value < 0:
        raise SettingsError(f"{name} is {value!r}; use a number of seconds from 0 up, or none")
    return float(value)


def _is_turned_off(value: Any) -> bool:
    """Whether it is none, which TOML and the environment can only spell out."""
    return value is None or (isinstance(value, str) and value.strip().lower() in ("none", "off"))


def _is_number(value: Any) -> bool:
    """Whether it is one that a timer can take, which neither "inf" nor "nan" is."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= _MOST_SECONDS


def _codes(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise SettingsError(f"{name} is {value!r}; use a list of codes")
    return tuple(_code(name, each) for each in value)


def _code(name: str, value: Any) -> str:
    """Check a code, or the beginning of some."""
    code = value.strip().upper() if isinstance(value, str) else ""
    codes = rules.catalog.ALL_CODES
    if not code or not any(known.startswith(code) for known in codes):
        known = rules.lookup.nearest(str(value), codes)
        raise SettingsError(f"{name} has the unknown code {value!r}; did you mean {known!r}?")
    return code


def _parts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise SettingsError(f"{name} is {value!r}; use a list of {', '.join(REDACTABLE)}")
    return tuple(_part(name, each) for each in value)


def _part(name: str, value: Any) -> str:
    part = value.strip().lower() if isinstance(value, str) else ""
    if part not in REDACTABLE:
        known = rules.lookup.nearest(str(value), REDACTABLE)
        raise SettingsError(f"{name} has the unknown part {value!r}; did you mean {known!r}?")
    return part


def _route_codes(name: str, value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name} is {value!r}; use a table of codes by route")
    for pattern in value:
        if not isinstance(pattern, str) or not pattern.strip():
            raise SettingsError(f"{name} has the route {pattern!r}; use one like 'GET /items/*'")
    return {
        pattern.strip(): _codes(f"{name}[{pattern!r}]", codes) for pattern, codes in value.items()
    }


def _parse_boolean(text: str) -> bool | str:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)


def _parse_count(text: str) -> int | str:
    return int(text) if text.strip().isdecimal() else text


def _parse_seconds(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _parse_route_codes(text: str) -> dict[str, tuple[str, ...]]:
    """Read "GET /a=SW201,SW202; POST /b=SW301"."""
    routes: dict[str, tuple[str, ...]] = {}
    for part in filter(str.strip, text.split(";")):
        pattern, equals, codes = part.strip().rpartition("=")
        if not equals:
            raise SettingsError(
                f"per_route_ignores has {part.strip()!r}; write 'GET /a=SW201,SW202; POST /b=SW301'"
            )
        routes[pattern.strip()] = routes.get(pattern.strip(), ()) + _parse_names(codes)
    return routes


_THRESHOLD = Kind(_threshold, _parse_seconds)
_COUNT = Kind(_count, _parse_count)
_CODES = Kind(_codes, _parse_names)

KINDS = {
    "stacks": Kind(_capture, str.strip),
    "log_findings": Kind(_boolean, _parse_boolean),
    "token": Kind(_token, str),
    "select": _CODES,
    "extend_select": _CODES,
    "ignore": _CODES,
    "per_route_ignores": Kind(_route_codes, _parse_route_codes),
    "idle_hold_seconds": _THRESHOLD,
    "stream_hold_seconds": _THRESHOLD,
    "timelines": Kind(_timelines, str.strip),
    "loop_blocked_seconds": _THRESHOLD,
    "child_task_grace_seconds": Kind(_grace, _parse_seconds),
    "max_findings": _COUNT,
    "max_routes": _COUNT,
    "max_open_sessions": _COUNT,
    "max_owner_sessions": _COUNT,
    "max_owners": _COUNT,
    "max_stacks": _COUNT,
    "max_timelines": _COUNT,
    "max_transactions": _COUNT,
    "max_engine_urls": _COUNT,
    "statement_length": _COUNT,
    "redact": Kind(_parts, _parse_names),
}
"""The kind of every field of `Settings`."""

TOOL_KINDS = {
    "pytest": Kind(_level, str.strip),
    "report": Kind(_path, str),
    "baseline": Kind(_path, str),
    "exclude": Kind(_patterns, _parse_names),
}
"""What stands beside them and is no field: the pytest plugin and `lint` ask for it."""
