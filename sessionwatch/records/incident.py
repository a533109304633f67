"""What went wrong at one moment, and is judged there and then rather than at its owner's end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.pool import PoolRecord
    from sessionwatch.records.session import SessionRecord
    from sessionwatch.records.stack import Stack


@dataclass(slots=True, eq=False, repr=False)
class Incident:
    """Something that an instrument saw: in whose time, and at which line."""

    owner: Owner
    at: Stack


@dataclass(slots=True, eq=False, repr=False)
class UseAfterClose(Incident):
    """A session was used when its owner had ended, or when another owner had closed it."""

    session: SessionRecord


@dataclass(slots=True, eq=False, repr=False)
class UseAfterFailure(Incident):
    """A session was used when its transaction had failed and nobody had rolled it back."""

    session: SessionRecord
    error: str | None


@dataclass(slots=True, eq=False, repr=False)
class EarlyBackground(Incident):
    """A session began after the response, with writes of the request's still uncommitted."""

    session: SessionRecord
    uncommitted: SessionRecord


@dataclass(slots=True, eq=False, repr=False)
class Overlap(Incident):
    """Two tasks or threads were in one session at once."""

    session: SessionRecord


@dataclass(slots=True, eq=False, repr=False)
class Sharing(Incident):
    """A session was used by `owner` that another owner uses, or used."""

    session: SessionRecord
    other: Owner


@dataclass(slots=True, eq=False, repr=False)
class NestedCheckout(Incident):
    """An owner took, or waits for, a connection of a pool of which it holds one already."""

    held: ConnectionHold
    waiting: bool


@dataclass(slots=True, eq=False, repr=False)
class DetachedAccess(Incident):
    """An error about a detached instance that left its owner; `at` is the access."""

    model: str | None
    """The mapped class, if the error says so."""
    attribute: str | None
    """What was to be loaded, unless it was the whole row."""
    wrapped_in: str | None
    """The class of the error that left in its place."""


@dataclass(slots=True, eq=False, repr=False)
class ConnectionsLeft(Incident):
    """Connections of one pool that are out when the application has shut down."""

    pool: PoolRecord
    holds: list[ConnectionHold]


@dataclass(slots=True, eq=False, repr=False)
class OutboundCall(Incident):
    """An HTTP request that goes out while this owner has a transaction open; `at` sends it."""

    host: str
    hold: ConnectionHold
    """The connection that the transaction is on."""


@dataclass(slots=True, eq=False, repr=False)
class BlockedLoop(Incident):
    """Synchronous work in the event loop's thread; `at` is the line that waited for it."""

    blocked_ns: int
    checkout: bool
    """Whether it was a wait for a connection, rather than a statement."""


@dataclass(slots=True, eq=False, repr=False)
class EngineMade(Incident):
    """An engine that was created in the time of a request."""

    url: str
    """Without user, password and options."""
    earlier: Stack | None
    """Where the first engine of the same URL was, if a request has created one before."""


@dataclass(slots=True, eq=False, repr=False)
class CheckoutWaited(Incident):
    """A checkout in a worker thread that began when the pool had nothing left to give."""

    pool: PoolRecord
    threads: float
    """How many threads may work for requests at once."""
