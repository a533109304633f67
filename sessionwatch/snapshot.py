"""One plain value that holds all that a watch knows at a moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from sessionwatch.route_totals import RouteTotals


@dataclass(slots=True)
class Snapshot:
    """All that a watch knows at a moment; plain values that JSON can hold, and that add up."""

    routes: dict[str, RouteTotals]
    open_sessions: Sequence[dict[str, Any]]
    findings: list[dict[str, Any]]
    pools: list[dict[str, Any]]
    settings: dict[str, Any]
    internal_errors: dict[str, Any]
    unused_ignores: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    """What each bound kept out, by the name of its setting without "max_"."""

    @property
    def totals(self) -> RouteTotals:
        """The sum over all routes."""
        return RouteTotals.sum(self.routes.values())

    def merge(self, other: Snapshot) -> Snapshot:
        """Return one snapshot of two processes; the settings are this one's."""
        routes = {
            name: RouteTotals.from_dict(route.to_dict()) for name, route in self.routes.items()
        }
        for name, route in other.routes.items():
            routes.setdefault(name, RouteTotals()).add(route)
        errors = _added(self.internal_errors["by_hook"], other.internal_errors["by_hook"])
        return Snapshot(
            routes=routes,
            open_sessions=[*self.open_sessions, *other.open_sessions],
            findings=_merge_findings([*self.findings, *other.findings]),
            pools=[*self.pools, *other.pools],
            settings=self.settings,
            internal_errors={"count": sum(errors.values()), "by_hook": errors},
            unused_ignores=[
                entry for entry in self.unused_ignores if entry in other.unused_ignores
            ],
            dropped=_added(self.dropped, other.dropped),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot under the keys that `/debug/sessions` answers with."""
        return {**self.to_report(), "open_sessions": list(self.open_sessions)}

    def to_report(self) -> dict[str, Any]:
        """Return the same, but for open sessions that are yet to be described."""
        return {
            "totals": self.totals.to_dict(),
            "routes": {name: route.to_dict() for name, route in sorted(self.routes.items())},
            "open_sessions": self.open_sessions,
            "findings": self.findings,
            "pools": self.pools,
            "settings": self.settings,
            "internal_errors": self.internal_errors,
            "unused_ignores": self.unused_ignores,
            "dropped": self.dropped,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Return what `to_dict` was made of."""
        routes = {name: RouteTotals.from_dict(route) for name, route in plain["routes"].items()}
        rest = {name: value for name, value in plain.items() if name not in ("totals", "routes")}
        return cls(routes=routes, **rest)


def _added(numbers: dict[str, int], others: dict[str, int]) -> dict[str, int]:
    return {
        name: numbers.get(name, 0) + others.get(name, 0)
        for name in dict.fromkeys((*numbers, *others))
    }


def _merge_findings(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for finding in findings:
        key = json.dumps(
            [finding[name] for name in ("code", "severity", "opened_at")]
            + [finding["owner"]["name"], finding["details"].get("pool")]
        )
        known = merged.setdefault(key, {**finding, "count": 0})
        known["count"] += finding["count"]
        known["first_seen"] = min(known["first_seen"], finding["first_seen"])
        known["last_seen"] = max(known["last_seen"], finding["last_seen"])
    return list(merged.values())
