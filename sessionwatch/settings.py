"""What a watch keeps, how much of it, and what it reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from sessionwatch.setting_values import checked

if TYPE_CHECKING:
    from pathlib import Path

    from sessionwatch.configuration import Found

KEYWORD = "keyword of Settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a watch; raises `SettingsError`, a `ValueError`, naming what is wrong.

    It takes what it is given and reads nothing: `load` reads pyproject.toml and the environment.
    """

    stacks: str = "caller"
    """`off`, `caller` (the application frames that opened the session) or `full`."""
    log_findings: bool = True
    """Whether each finding is logged to `sessionwatch` when it is first seen."""
    token: str | None = field(default=None, repr=False)
    """What `/debug/sessions` asks for as `Authorization: Bearer`; None opens it to loopback."""
    select: tuple[str, ...] = ("SW",)
    """The codes that are reported, or what they begin with; the longest that fits decides."""
    extend_select: tuple[str, ...] = ()
    """More of them; a rule that is off by default needs its whole code here or in `select`."""
    ignore: tuple[str, ...] = ()
    """The codes that are not reported, or what they begin with."""
    per_route_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Codes by owner, such as "GET /items/{id}"; `*` stands for any text, `?` for a character."""
    idle_hold_seconds: float | None = 10.0
    """How long a connection may be out with no statement running until SW102; None turns it off."""
    stream_hold_seconds: float | None = 10.0
    """The same while a response is streamed, until SW303."""
    loop_blocked_seconds: float | None = 0.1
    """How long synchronous SQL may block the event loop until SW404; None turns it off."""
    child_task_grace_seconds: float | None = None
    """How long child tasks may use the sessions of an owner that has ended; None: till they end."""
    max_findings: int = 200
    """Findings kept, after those that are the same have been counted together."""
    max_routes: int = 500
    """Routes counted apart; what comes later is counted as "(other)"."""
    max_open_sessions: int = 10_000
    """Sessions, and connections without one, followed that are still out when their owner ended."""
    max_owner_sessions: int = 1000
    """Sessions of one request, job or process followed at once; the oldest are let go of first."""
    max_owners: int = 10_000
    """Requests and jobs followed at once; others are counted when they end."""
    max_stacks: int = 1000
    """Different stacks kept of sessions that outlived their owner; others have none from then."""
    max_transactions: int = 64
    """Root transactions with writes kept of one session for the rules; the oldest go first."""
    timelines: str = "eventful"
    """Whose course is kept to be drawn: `off`, `eventful` (who wrote, or left something open, or
    had a finding) or `all`."""
    max_timelines: int = 50
    """The newest owners whose course is kept, beside the newest of each finding."""
    max_engine_urls: int = 64
    """URLs remembered that requests created engines for; the oldest are forgotten first."""
    statement_length: int = 500
    """Characters of the last statement that are shown; parameters and literals never are."""
    redact: tuple[str, ...] = ()
    """What else is never shown: `sql`, `stacks` (all lines of source code), `paths` (folders)."""
    sources: Mapping[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)
    """Where `load` found each setting that it found."""

    def __post_init__(self) -> None:
        for each in fields(self):
            given = getattr(self, each.name)
            if each.init and given is not each.default:
                object.__setattr__(self, each.name, checked(each.name, given, KEYWORD))

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Return the settings of `[tool.sessionwatch]` in the nearest pyproject.toml, replaced by
        those of SESSIONWATCH_ variables, and these by keywords.

        Raises `SettingsError` naming the file, variable or keyword that is wrong.
        """
        return cls.load_with([(name, value, KEYWORD) for name, value in overrides.items()])

    @classmethod
    def load_with(cls, asked: Iterable[Found], folder: Path | None = None) -> Self:
        """Do as `load` does, with settings that stand elsewhere, such as an option's.

        The file is the nearest from `folder` up, where that is given.
        """
        from sessionwatch.configuration import settings_found

        values, sources = {}, {}
        for name, value, place in (*settings_found(folder), *asked):
            values[name] = checked(name, value, place)
            sources[name] = place
        settings = cls(**values)
        object.__setattr__(settings, "sources", sources)
        return settings

    def to_dict(self) -> dict[str, Any]:
        """Return the settings for display, with the token hidden."""
        plain = {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.init}
        return {**plain, "token": "set" if self.token else None}


def _plain(value: Any) -> Any:
    """Return what JSON gives back as it was."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value
