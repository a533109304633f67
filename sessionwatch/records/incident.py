"""What went wrong at one moment, and is judged there and then rather than at its owner's end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.session import SessionRecord
    from sessionwatch.records.stack import Stack


@dataclass(slots=True)
class Incident:
    """Something that an instrument saw: in whose time, and at which line."""

    owner: Owner
    at: Stack


@dataclass(slots=True)
class UseAfterClose(Incident):
    """A session was used when its owner had ended, or when another owner had closed it."""

    session: SessionRecord


@dataclass(slots=True)
class UseAfterFailure(Incident):
    """A session was used when its transaction had failed and nobody had rolled it back."""

    session: SessionRecord
    error: str | None


@dataclass(slots=True)
class EarlyBackground(Incident):
    """A session began after the response, with writes of the request's still uncommitted."""

    session: SessionRecord
    uncommitted: SessionRecord


@dataclass(slots=True)
class Overlap(Incident):
    """Two tasks or threads were in one session at once."""

    session: SessionRecord


@dataclass(slots=True)
class Sharing(Incident):
    """A session was used by `owner` that another owner uses, or used."""

    session: SessionRecord
    other: Owner


@dataclass(slots=True)
class NestedCheckout(Incident):
    """An owner took, or waits for, a connection of a pool of which it holds one already."""

    held: ConnectionHold
    waiting: bool
