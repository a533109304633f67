"""The user's own dependency as the command line and the report know it: named, never imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .channel import Worker

YOURS = "yours"
"""The key under which the user's own dependency stands among the variants."""


@dataclass(frozen=True, slots=True)
class Yours:
    """The user's dependency, and what a process that imported it told about it."""

    get_db: str
    """What `--get-db` named."""
    sessionmaker: str | None
    """What `--sessionmaker` named, if anything."""
    made_by: str
    """The sessionmaker or engine that is rebound to the lab's database, as `module:name`."""
    is_async: bool
    scope: Literal["function"] | None
    file: str
    """Where it is written, or nothing when that is not known."""
    first_line: int
    """Where its source begins in the file."""
    source: str
    remark: str
    """What is to be known about how it was handed to FastAPI, or nothing."""

    key = YOURS

    @property
    def title(self) -> str:
        """What the user called it."""
        return self.get_db

    @property
    def origin(self) -> str:
        """Where it comes from, what makes its sessions, and how it was taken."""
        place = f"{self.file}:{self.first_line}" if self.file else ""
        rebound = f"{self.made_by} was rebound to the lab's database, for the routes of demo_app"
        return " · ".join(part for part in (place, rebound, self.remark) if part)

    def line_of(self, place: dict[str, Any] | None) -> int | None:
        """Return the line of `source`, from 1, that a place of a report is, or None."""
        if place is None or not self.file or place["file"] != self.file:
            return None
        line: int = place["line"] - self.first_line + 1
        return line if 1 <= line <= len(self.source.splitlines()) else None


async def inspect(get_db: str, sessionmaker: str | None) -> Yours:
    """Have a process of the lab import the dependency and tell about it; nothing is connected to.

    Raises LabError for what the user can put right.
    """
    worker = Worker("that imports your dependency")
    named = {"get_db": get_db, "sessionmaker": sessionmaker}
    try:
        await worker.launch()
        told: dict[str, Any] = await worker.ask("inspect", **named)
    finally:
        await worker.end()
    return Yours(get_db=get_db, sessionmaker=sessionmaker, **told)
