"""The user's own dependency as the command line and the report know it: named, never imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .channel import Worker
from .errors import LabError

YOURS = "yours"
"""The key under which the user's own dependency stands among the variants."""


@dataclass(frozen=True, slots=True)
class Yours:
    """What a process that imported the user's dependency told about it."""

    get_db: str
    """What `--get-db` named."""
    made_by: str
    """The sessionmaker or engine that is rebound to the lab's database, as `module:name`."""
    is_async: bool
    scope: Literal["function"] | None
    place: str
    """The file and line where it is written."""
    source: str
    remark: str
    """What is to be known about how it was handed to FastAPI, or nothing."""

    key = YOURS
    commits = None
    fault = None
    fault_reason = ""

    @property
    def title(self) -> str:
        """What the user called it."""
        return self.get_db

    @property
    def origin(self) -> str:
        """Where it comes from, what makes its sessions, and how it was taken."""
        rebound = f"{self.made_by} was rebound to the lab's database"
        return " · ".join(part for part in (self.place, rebound, self.remark) if part)


async def inspect(get_db: str, made_by: str | None, *, is_async: bool) -> Yours:
    """Have a process of the lab import the dependency and tell about it; nothing is connected to.

    Raises LabError for what the user can put right, also when `--async` says otherwise.
    """
    worker = Worker("that imports your dependency")
    try:
        await worker.launch()
        told: dict[str, Any] = await worker.ask("inspect", get_db=get_db, made_by=made_by)
    finally:
        await worker.end()
    yours = Yours(get_db=get_db, **told)
    if is_async and not yours.is_async:
        raise LabError(f"--async: {yours.made_by} makes sync sessions: leave --async out")
    return yours
