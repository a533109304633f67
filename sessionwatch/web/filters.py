"""What `?route=`, `?code=` and `?limit=` leave of a report."""

from __future__ import annotations

import re
from typing import Any

_PATH_WITHOUT_METHOD = re.compile(r"/|[a-z]+ /")


def narrow(report: dict[str, Any], *, route: str | None, code: str | None, limit: int) -> None:
    """Keep of `report` what the filters let through; the totals and pools stay whole.

    Open sessions come oldest first and findings latest first, at most `limit` of each. Raises
    `ValueError` for a route that no owner can have.
    """
    if route is not None:
        report["open_sessions"] = list(report["open_sessions"])
        mistake = _mistake_in(route, report)
        if mistake is not None:
            raise ValueError(mistake)
        report["routes"] = {
            name: numbers for name, numbers in report["routes"].items() if name == route
        }
        for rows in ("open_sessions", "findings"):
            report[rows] = [row for row in report[rows] if row["owner"]["name"] == route]
    findings = [row for row in report["findings"] if code is None or row["code"] == code]
    findings.sort(key=lambda row: str(row["last_seen"]), reverse=True)
    report["findings"] = findings[:limit]
    report["open_sessions"] = report["open_sessions"][:limit]


def _mistake_in(route: str, report: dict[str, Any]) -> str | None:
    """Say what is wrong with a route; None for one that is known, or that may come yet."""
    if not route.strip():
        return "route is blank: give a name as `routes` has it, such as `GET /items/{id}`"
    if _PATH_WITHOUT_METHOD.match(route) and route not in _known_names(report):
        return (
            f"route is {route!r}: begin it with the method in capitals, as `routes` does, "
            "such as `GET /items/{id}`"
        )
    return None


def _known_names(report: dict[str, Any]) -> set[str]:
    rows = [*report["open_sessions"], *report["findings"]]
    return {*report["routes"], *(row["owner"]["name"] for row in rows)}
