"""A report as a screen of tables, or as one line."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_ROWS = 10
_MINUTE, _HOUR = 60, 3600


def screen(report: dict[str, Any], rows: int = _ROWS) -> RenderableType:
    """Return the whole report; `rows` is how many of everything there are at most."""
    parts: list[RenderableType] = [Text(totals_line(report)), Text()]
    if report["pools"]:
        parts += [_pools(report["pools"]), Text()]
    parts += [_sessions(report, rows), Text(), _findings(report, rows)]
    if report["routes"]:
        parts += [Text(), _routes(report["routes"], rows)]
    return Group(*parts)


def totals_line(report: dict[str, Any]) -> str:
    """Return the totals in a line."""
    totals = report["totals"]
    names = ("opened", "closed", "open", "leaked", "committed", "rolled_back", "discarded")
    line = ", ".join(f"{totals[name]:,} {name.replace('_', ' ')}" for name in names)
    errors = report["internal_errors"]["count"]
    return line + (f"; {errors} errors of sessionwatch itself" if errors else "")


def plain_line(report: dict[str, Any]) -> str:
    """Return everything that changes, in a line that a log can hold."""
    pools = ", ".join(f"{_used(pool)} of {pool['name']}" for pool in report["pools"])
    found = sum(finding["count"] for finding in report["findings"])
    return f"{totals_line(report)}; {pools or 'no pool'}; {found:,} findings"


def _pools(pools: list[dict[str, Any]]) -> Table:
    table = _table("pool", "used", "idle", "overflow", "waiting", "checkouts", "timeouts")
    for pool in pools:
        numbers = ("idle", "overflow", "waiting", "checkouts", "timeouts")
        style = "bold red" if _is_full(pool) else ""
        table.add_row(
            Text(pool["name"]), _used(pool), *(_number(pool[name]) for name in numbers), style=style
        )
    return table


def _sessions(report: dict[str, Any], rows: int) -> Table:
    table = _table("open session of", "opened at", "age", "idle", "state", "last statement")
    table.columns[1].justify = table.columns[4].justify = table.columns[5].justify = "left"
    for row in report["open_sessions"][:rows]:
        owner = row["owner"]["name"] + (" (over)" if row["owner_ended"] else "")
        table.add_row(
            Text(owner),
            Text(_place(row["opened_at"])),
            duration(row["age_seconds"]),
            duration(row["idle_seconds"]),
            row["state"],
            Text(row["last_statement"] or ""),
        )
    table.caption = _more(report["matching"]["open_sessions"], len(table.rows), "open sessions")
    return table


def _findings(report: dict[str, Any], rows: int) -> Table:
    table = _table("finding", "times", "what happened")
    table.columns[2].justify = "left"
    for row in report["findings"][:rows]:
        code = Text(f"{row['code']} {row['severity']}", _SEVERITY_STYLES[row["severity"]])
        table.add_row(code, _number(row["count"]), Text(row["message"]))
    table.caption = _more(report["matching"]["findings"], len(table.rows), "findings")
    return table


def _routes(routes: dict[str, dict[str, Any]], rows: int) -> Table:
    counted = ("opened", "closed", "leaked", "committed", "rolled_back", "discarded")
    table = _table("route", *(name.replace("_", " ") for name in counted), "held p50", "held p99")
    ranked = sorted(
        routes.items(), key=lambda item: (item[1]["leaked"], item[1]["opened"]), reverse=True
    )
    for name, numbers in ranked[:rows]:
        held = (duration(numbers[each]) for each in ("held_p50_seconds", "held_p99_seconds"))
        table.add_row(Text(name), *(_number(numbers[each]) for each in counted), *held)
    table.caption = _more(len(routes), len(table.rows), "routes")
    return table


def duration(seconds: float | None) -> str:
    """Return a time in the unit that suits it."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _more(all_rows: int, shown: int, what: str) -> str | None:
    if all_rows == 0:
        return f"no {what}"
    return f"{shown:,} of {all_rows:,} {what}" if shown < all_rows else None


def _used(pool: dict[str, Any]) -> str:
    capacity = _capacity(pool)
    return (
        f"{pool['checked_out']} used" if capacity is None else f"{pool['checked_out']}/{capacity}"
    )


def _is_full(pool: dict[str, Any]) -> bool:
    capacity = _capacity(pool)
    return capacity is not None and pool["checked_out"] >= capacity


def _capacity(pool: dict[str, Any]) -> int | None:
    if pool["size"] is None or pool["max_overflow"] is None or pool["max_overflow"] < 0:
        return None
    return int(pool["size"] + pool["max_overflow"])


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _place(place: dict[str, Any] | None) -> str:
    return "unknown" if place is None else f"{place['file']}:{place['line']} in {place['function']}"
