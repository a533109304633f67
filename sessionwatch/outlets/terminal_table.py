"""The table of a report: one row for each variant, fitted to the width of the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .report_words import COLUMNS, HARMFUL

_FITTING = 90
"""From this width on no name needs to be folded."""
_ROOMY = 108
"""From this width on there is room between the columns."""
_WIDE = 132
"""From this width on the verdict stands in the table; below, it stands under it."""
_VERY_WIDE = 170
"""From this width on there is room for both."""


def render_table(report: Mapping[str, Any], width: int) -> RenderableType:
    """Return the table with its legend, and with the verdicts beside or below the numbers."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1) if _ROOMY <= width < _WIDE or width >= _VERY_WIDE else 0,
        header_style="bold",
    )
    table.add_column("get_db", no_wrap=True)
    for heading in COLUMNS.values():
        table.add_column("\n".join(heading.rsplit(" ", 1)), justify="right", vertical="top")
    if width >= _WIDE:
        table.add_column(" verdict")
    for variant in report["variants"]:
        table.add_row(*_cells(variant, width))
    below = [] if width >= _WIDE else [_verdicts(report)]
    return Group(table, *below, _legend(report))


def _cells(variant: Mapping[str, Any], width: int) -> list[RenderableType]:
    columns = variant["columns"]
    name = variant["key"] if width >= _FITTING else _fold(variant["key"])
    cells: list[RenderableType] = [Text(name, style="cyan")]
    cells += [_number(key, columns) for key in COLUMNS]
    if width >= _WIDE:
        cells.append(Padding(_verdict(variant), (0, 0, 0, 1)))
    return cells


def _number(key: str, columns: Mapping[str, Any]) -> Text:
    value = columns[key]
    if value is None:
        return Text("-", style="dim")
    if key == "closed" and value < columns["opened"]:
        return Text(str(value), style="yellow")
    if key in HARMFUL:
        return Text(str(value), style="bold red" if value else "dim")
    return Text(str(value))


def _fold(key: str) -> str:
    """Break a long name after its first hyphen: at 80 columns the numbers need the room."""
    head, hyphen, tail = key.partition("-")
    return f"{head}-\n{tail}" if hyphen and len(key) > len("recommended") else key


def _verdict(variant: Mapping[str, Any]) -> Text:
    return Text(variant["verdict"], style="green" if variant["verdict"].startswith("sound") else "")


def _verdicts(report: Mapping[str, Any]) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for variant in report["variants"]:
        table.add_row(variant["key"], _verdict(variant))
    return Padding(table, (1, 0, 0, 0))


def _legend(report: Mapping[str, Any]) -> RenderableType:
    single = sum(scenario["drive"] != "burst" for scenario in report["plan"]["scenarios"])
    words = {
        "opened … rolled back": (
            f"sessions and root transactions, over {single} scenarios of one request"
        ),
        "leaked": (
            "sessions that held their connection until the garbage collector ran; the lab holds "
            "it back during a request, since when it runs is chance"
        ),
        "partial commits": "scenarios that left half of their work in the database",
        "lost writes": "requests told 200 whose work nobody committed, or that was rolled back",
        "200 but lost": "acknowledged but lost: told 200, and the commit failed afterwards",
    }
    burst = _burst_of(report)
    if burst is not None:
        words["refused"] = (
            f"of {burst['failing']} failing requests at once and {burst['good']} good ones after "
            "them, those not served"
        )
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), style="dim")
    table.add_column(no_wrap=True)
    table.add_column()
    for name, meaning in words.items():
        table.add_row(name, meaning)
    return Padding(table, (1, 0))


def _burst_of(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    cells = (cell for variant in report["variants"] for cell in variant["cells"])
    bursts: list[Mapping[str, Any]] = [cell["burst"] for cell in cells if cell["burst"]]
    return bursts[0] if bursts else None
