"""Who holds the connections of a pool, in the words of the findings that list them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sessionwatch.records.connection import ConnectionHold
from sessionwatch.rules.words import at

Holders = Counter[tuple[str, str]]
"""How many connections are held in each state by each holder."""


def count_holders(holds: Iterable[ConnectionHold]) -> Holders:
    """Return the holders, those that were opened at one place by one owner together."""
    return Counter((_state(hold), _description(hold)) for hold in holds)


def plain_holders(holders: Holders) -> list[dict[str, Any]]:
    """Return the holders as plain values, those of most connections first."""
    return [
        {"state": state, "holder": description, "count": number}
        for (state, description), number in holders.most_common()
    ]


def _state(hold: ConnectionHold) -> str:
    """Leaked when its owner is over; else busy or idle, as a statement runs or not."""
    if hold.owner.ended_ns:
        return "leaked"
    return "busy" if hold.running_since_ns else "idle"


def _description(hold: ConnectionHold) -> str:
    return f"{hold.owner.label}, opened{at(hold.opened_at)}"
