"""What an owner's instruments report to: in practice, the watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from sessionwatch.records.connection import ConnectionHold
    from sessionwatch.records.incident import Incident
    from sessionwatch.records.owner import Owner
    from sessionwatch.records.pool import PoolRecord
    from sessionwatch.records.session import SessionRecord
    from sessionwatch.records.stack import Stack


class Narrowing(Protocol):
    """Tells what a watch was told to keep to."""

    def session(self, session: Any) -> bool:
        """Whether this session is to be recorded."""

    def pool(self, pool: Any) -> bool:
        """Whether the connections of this pool are to be recorded."""


class Recorder(Protocol):
    """Receives what is seen; the garbage collector calls two of its methods."""

    clock: Callable[[], int]
    """Gives nanoseconds from any fixed moment."""
    capture: Callable[[FrameType | None], tuple[Stack, bool]]
    """Reads a stack, and tells whether a scoped registry stands in it."""
    process_owner: Owner
    """Whom sessions belong to that nobody else owns."""
    loop_blocked_ns: int
    """How long work may block the event loop before it is told of."""
    watches_outbound: bool
    """Whether HTTP requests in transactions are told of."""
    engines_made: dict[str, Stack]
    """Where requests created the first engine of each URL."""
    imports_late: bool
    """Whether a module is imported when it is needed, rather than when it is started."""
    many_sessions: int
    """How many sessions an owner may have until `crowded` is to be called for each more."""
    most_transactions: int
    """How many root transactions with writes are kept of a session."""

    redact: tuple[str, ...]
    """What is kept out of texts, of REDACTABLE."""

    @property
    def only(self) -> Narrowing | None:
        """Which sessions and pools are recorded; None means all."""

    def crowded(self, owner: Owner) -> None:
        """Take an owner with very many sessions, and let go of the oldest where there is a need."""

    def engine_url_seen(self, url: str, at: Stack) -> None:
        """Remember where a request created the first engine of a URL."""

    def dropped(self, what: str) -> None:
        """Count something that a bound of the settings left no room for."""

    def session_opened_late(self, session: SessionRecord) -> None:
        """Take a session that was opened after its owner had been judged."""

    def judge(self, owner: Owner) -> None:
        """Judge an owner that has ended, whoever still uses its sessions."""

    def active_owners(self) -> int:
        """Return how many owners are under way."""

    def tidy(self) -> None:
        """Judge what has been collected, if there is much of it."""

    def session_settled(self, session: SessionRecord) -> None:
        """Take a session that was closed after its owner had ended."""

    def session_reopened(self, session: SessionRecord) -> None:
        """Take a session that is in use again after it was closed."""

    def session_collected(self, session: SessionRecord) -> None:
        """Take a session that is gone; takes no lock, as the garbage collector calls it."""

    def hold_returned(self, hold: ConnectionHold) -> None:
        """Take a connection that no session had; takes no lock, for the same reason."""

    def pool_timed_out(self, owner: Owner, pool: PoolRecord, waited_ns: int, at: Stack) -> None:
        """Take a checkout that waited in vain."""

    def incident(self, incident: Incident) -> None:
        """Take what is to be judged at once, by the rule for its class."""

    def unknown_mark(self, mark: Any) -> None:
        """Take a mark on a session that means nothing."""

    def renew_locks(self) -> None:
        """Take locks that nobody holds; called in a forked child."""

    def hook_failed(self, hook: str) -> None:
        """Take an exception of a hook of ours; called while it is handled."""
