"""What is seen at an edge: where a request, the process or the pool ends, or a call goes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sessionwatch.records.incident import Incident

if TYPE_CHECKING:
    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.pool import PoolRecord
    from sessionwatch.records.stack import Stack


@dataclass(slots=True)
class DetachedAccess(Incident):
    """An error about a detached instance that left its owner; `at` is the access."""

    model: str | None
    """The mapped class, if the error says so."""
    attribute: str | None
    """What was to be loaded, unless it was the whole row."""
    wrapped_in: str | None
    """The class of the error that left in its place."""


@dataclass(slots=True)
class ConnectionsLeft(Incident):
    """Connections of one pool that are out when the application has shut down."""

    pool: PoolRecord
    holds: list[ConnectionHold]


@dataclass(slots=True)
class OutboundCall(Incident):
    """An HTTP request that goes out while this owner has a transaction open; `at` sends it."""

    host: str
    hold: ConnectionHold
    """The connection that the transaction is on."""


@dataclass(slots=True)
class BlockedLoop(Incident):
    """Synchronous work in the event loop's thread; `at` is the line that waited for it."""

    blocked_ns: int
    checkout: bool
    """Whether it was a wait for a connection, rather than a statement."""


@dataclass(slots=True)
class EngineMade(Incident):
    """An engine that was created in the time of a request."""

    url: str
    """Without user, password and options."""
    earlier: Stack | None
    """Where the first engine of the same URL was, if a request has created one before."""


@dataclass(slots=True)
class CheckoutWaited(Incident):
    """A checkout in a worker thread that began when the pool had nothing left to give."""

    pool: PoolRecord
    threads: float
    """How many threads may work for requests at once."""
