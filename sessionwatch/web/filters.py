"""Which part of a report is asked for."""

from __future__ import annotations

import enum
import re
from typing import Any, Literal

from pydantic import BaseModel, Field

from sessionwatch.open_sessions import OpenSessions
from sessionwatch.rules.catalog import CATALOG

MOST_ROWS = 1000
_PATH_WITHOUT_METHOD = re.compile(r"/|[a-z]+ /")

SessionWatchCode = enum.StrEnum(  # type: ignore[misc]
    "SessionWatchCode", {code: code for code in CATALOG}
)


class Form(BaseModel):
    """The parameter that every address here knows."""

    format: Literal["html", "json"] | None = Field(
        None, description="The page, or JSON; else what `Accept` asks for, JSON if it is `*/*`."
    )


class Filters(Form):
    """The parameters in the address of `/debug/sessions`."""

    route: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Only this route's numbers, open sessions and findings: an owner's name as "
        "`routes` has it, such as `GET /items/{id}`; `totals` and `pools` stay whole. A route "
        "that nothing is known of gives empty lists.",
    )
    code: SessionWatchCode | None = Field(
        None, description="Only findings of this code, such as `SW101`; all else stays whole."
    )
    search: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Only routes, open sessions and findings with this text, in any case, in "
        "their name, opening line, statement or message.",
    )
    sort: Literal["age", "idle"] = Field(
        "age", description="Open sessions oldest first, or those first that are idle for longest."
    )
    offset: int = Field(0, ge=0, description="How many open sessions to leave out first.")
    limit: int = Field(
        100,
        ge=1,
        le=MOST_ROWS,
        description="At most so many open sessions, and so many findings (those last seen).",
    )


def narrow(report: dict[str, Any], filters: Filters) -> None:
    """Keep of `report` what the filters let through; the totals and pools stay whole.

    Open sessions come oldest (or longest idle) first and findings latest first, at most `limit` of
    each; `matching` says how many there are. Raises `ValueError` for a route that no owner can
    have.
    """
    sessions: OpenSessions = report["open_sessions"]
    findings = report["findings"]
    route = filters.route
    if route is not None:
        mistake = _mistake_in(route, report)
        if mistake is not None:
            raise ValueError(mistake)
        report["routes"] = {
            name: numbers for name, numbers in report["routes"].items() if name == route
        }
        sessions = sessions.of(route)
        findings = [row for row in findings if row["owner"]["name"] == route]
    if filters.code is not None:
        findings = [row for row in findings if row["code"] == filters.code]
    if filters.search is not None:
        sessions = sessions.matching(filters.search)
        findings = [row for row in findings if _matches(row, filters.search.casefold())]
        report["routes"] = {
            name: numbers
            for name, numbers in report["routes"].items()
            if filters.search.casefold() in name.casefold()
        }
    if filters.sort == "idle":
        sessions = sessions.longest_idle_first()
    findings = sorted(findings, key=lambda row: str(row["last_seen"]), reverse=True)
    report["matching"] = {"open_sessions": len(sessions), "findings": len(findings)}
    report["open_sessions"] = sessions[filters.offset : filters.offset + filters.limit]
    report["findings"] = findings[: filters.limit]


def _matches(finding: dict[str, Any], text: str) -> bool:
    """Whether a finding has a text in its code, its name, its message or its owner's name."""
    fields = (finding["code"], finding["name"], finding["message"], finding["owner"]["name"])
    return any(text in field.casefold() for field in fields)


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
    findings = (row["owner"]["name"] for row in report["findings"])
    return {*report["routes"], *report["open_sessions"].owners(), *findings}
