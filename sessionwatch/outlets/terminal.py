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
        *(render_variant(variant, report["problems"]) for variant in _shown(report)),
        *([] if _yours(report) else [render_quiz(report["quiz"])]),
        _conclusion(report),
    ]


def _yours(report: Report) -> list[Mapping[str, Any]]:
    return [variant for variant in report["variants"] if variant["key"] == "yours"]


def _shown(report: Report) -> list[Mapping[str, Any]]:
    """Return the variants to show in full: the user's own, or else all of them."""
    return _yours(report) or report["variants"]


def _header(report: Report) -> RenderableType:
    versions = " · ".join(f"{name} {version}" for name, version in report["versions"].items())
    plan, database = report["plan"], report["database"]
    kind = "AsyncSession" if database["is_async"] else "Session"
    variants, scenarios = len(report["variants"]), len(plan["scenarios"])
    run = [
        f"{_count(variants, 'variant')} in {_count(scenarios, 'scenario')}",
        f"{kind} on {database['label']} ({database['driver']})",
        f"pool of {plan['pool_size']}",
    ]
    if plan["repeat"] > 1:
        run.append(f"each measured {plan['repeat']} times, the first is shown")
    if plan["seed"] is not None:
        run.append(f"seed {plan['seed']}")
    run.append(f"{report['seconds']:.1f} s")
    lines = Group(Text(versions, style="bold"), Text(" · ".join(run), style="dim"))
    return Padding(lines, (1, 0))


def _conclusion(report: Report) -> RenderableType:
    lines = [Rule("Do the two testimonies agree?", style="cyan", align="left")]
    texts = [*_disagreements(report), *_unstable(report), *_conditions(report)]
    return Group(*lines, *(Padding(text, (0, 0, 0, 2)) for text in texts))


def _disagreements(report: Report) -> list[Text]:
    if not report["disagreements"]:
        said = (
            f"Yes. In {report['comparisons']} comparisons, what sessionwatch recorded and what the "
            "client, the call log, the pool and the database show were the same."
        )
        return [Text(said, style="green")]
    found = report["disagreements"]
    cells = {(each["variant"], each["scenario"]): "" for each in found}
    for each in found:
        cells[each["variant"], each["scenario"]] += f"\n  {each['words']}"
    texts = [Text.assemble((", ".join(cell), "cyan"), words) for cell, words in cells.items()]
    head = f"No. {_count(len(found), 'disagreement')}, each one a fault of sessionwatch itself:"
    rest = len(texts) - _CELLS_SHOWN
    more = [Text(f"and {_count(rest, 'cell')} more, which --json shows", "dim")] if rest > 0 else []
    return [Text(head, style="bold red"), *texts[:_CELLS_SHOWN], *more]


def _unstable(report: Report) -> list[Text]:
    return [
        Text(
            f"{each['variant']}, {each['scenario']}: the verdict changed between rounds: "
            + "; then ".join(
                ", ".join(problems) or "nothing wrong" for problems in each["verdicts"]
            ),
            style="red",
        )
        for each in report["unstable"]
    ]


def _conditions(report: Report) -> list[Text]:
    asked, met = report["fail_on"]["asked"], report["fail_on"]["met"]
    if met:
        return [Text(f"--fail-on {', '.join(met)} is met: exit status 1.", style="bold red")]
    return [Text(f"--fail-on {', '.join(asked)} is not met.", style="green")] if asked else []


def _key_table(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
