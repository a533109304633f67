"""What a watch keeps, and how much of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sessionwatch.instruments.stacks import CAPTURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a watch; raises `ValueError` naming the key that is wrong."""

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
    idle_hold_seconds: float | None = 10.0
    """How long a connection may be out with no statement running until SW102; None turns it off."""
    stream_hold_seconds: float | None = 10.0
    """The same while a response is streamed, until SW303."""
    loop_blocked_seconds: float | None = 0.1
    """How long synchronous SQL may block the event loop until SW404; None turns it off."""
    child_task_grace_seconds: float = 5.0
    """How long child tasks may go on to use the sessions of an owner that has ended."""
    max_findings: int = 200
    """Findings kept, after those that are the same have been counted together."""
    max_routes: int = 500
    """Routes counted apart; what comes later is counted as "(other)"."""
    max_open_sessions: int = 10_000
    """Sessions kept whose owner has ended and that are still open."""
    statement_length: int = 500
    """Characters of the last statement that are shown; parameters never are."""

    def __post_init__(self) -> None:
        if self.stacks not in CAPTURES:
            raise ValueError(f"stacks is {self.stacks!r}; use one of {', '.join(CAPTURES)}")
        for name in ("max_findings", "max_routes", "max_open_sessions", "statement_length"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; use a whole number from 1 up")
        if self.token is not None and not self.token.strip():
            raise ValueError("token is empty; leave it out, or give it a value")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings for display, with the token hidden."""
        chosen = {"select": list(self.select), "extend_select": list(self.extend_select)}
        return {**asdict(self), **chosen, "token": "set" if self.token else None}
