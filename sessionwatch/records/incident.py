"""What went wrong at one moment, and is judged there and then rather than at its owner's end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.stack import Stack


@dataclass(slots=True)
class Incident:
    """Something that an instrument saw: in whose time, and at which line."""

    owner: Owner
    at: Stack
