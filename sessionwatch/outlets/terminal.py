"""The report of `sessionwatch compare` on a terminal, or as text in a file.

Everything here reads the report's plain values; nothing is judged or counted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from .report_words import (
    agreement,
    circumstances,
    count,
    disagreements,
    fail_on,
    is_about_yours,
    shown_variants,
    unstable,
    versions,
)
from .terminal_console import make_console
from .terminal_quiz import render_quiz
from .terminal_table import render_table
from .terminal_variant import render_variant

if TYPE_CHECKING:
    from demo_app.variants import Variant
    from sessionwatch.lab.scenarios import Scenario

Report = Mapping[str, Any]

_CELLS_SHOWN = 12


def print_report(report: Report, console: Console | None = None) -> None:
    """Print the whole report: versions, table, variants, quiz, and how the testimonies stand."""
    console = console or make_console()
    for section in _sections(report, console.width):
        console.print(section)


def print_list(variants: Sequence[Variant], scenarios: Sequence[Scenario]) -> None:
    """Print what `--variant` and `--scenario` can name."""
    console = make_console()
    console.print(_key_table("Variants", [(each.key, each.title) for each in variants]))
    console.print()
    console.print(
        _key_table("Scenarios", [(each.key, f"{each.title}: {each.right}") for each in scenarios])
    )


def _sections(report: Report, width: int) -> list[RenderableType]:
    return [
        Rule("sessionwatch compare: what each get_db really does", style="cyan"),
        _header(report),
        render_table(report, width),
        *(render_variant(variant, report["problems"]) for variant in shown_variants(report)),
        *([] if is_about_yours(report) else [render_quiz(report["quiz"])]),
        _conclusion(report),
    ]


def _header(report: Report) -> RenderableType:
    lines = Group(Text(versions(report), style="bold"), Text(circumstances(report), style="dim"))
    return Padding(lines, (1, 0))


def _conclusion(report: Report) -> RenderableType:
    lines = [Rule("Do the two testimonies agree?", style="cyan", align="left")]
    texts = [*_agreement(report), *(Text(each, style="red") for each in unstable(report))]
    condition = fail_on(report)
    if condition:
        style = "bold red" if report["fail_on"]["met"] else "green"
        texts.append(Text(condition, style=style))
    return Group(*lines, *(Padding(text, (0, 0, 0, 2)) for text in texts))


def _agreement(report: Report) -> list[Text]:
    if not report["disagreements"]:
        return [Text(agreement(report), style="green")]
    texts = [
        Text.assemble((cell, "cyan"), *(f"\n  {each}" for each in words))
        for cell, words in disagreements(report).items()
    ]
    rest = len(texts) - _CELLS_SHOWN
    more = [Text(f"and {count(rest, 'cell')} more, which --json shows", "dim")] if rest > 0 else []
    return [Text(agreement(report), style="bold red"), *texts[:_CELLS_SHOWN], *more]


def _key_table(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table
