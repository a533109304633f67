"""One variant of a report: its source with the line at fault, its worst finding and the fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .report_words import MILD, Variant, burst


def render_variant(variant: Variant, problems: Mapping[str, str]) -> RenderableType:
    """Return the variant's section; `problems` says in words what each problem is."""
    heading = Rule(f"[cyan]{variant['key']}[/]: {variant['title']}", style="cyan", align="left")
    parts = [
        Text(_origin(variant), style="dim"),
        Padding(_source(variant), (1, 0)),
        _finding(variant["worst_finding"]),
        _problems(variant, problems),
    ]
    return Group(heading, *(Padding(part, (0, 0, 0, 2)) for part in parts), Text())


def _origin(variant: Variant) -> str:
    origin: str = variant["origin"]
    return f"{origin} · the {variant['commits']} commits" if variant["commits"] else origin


def _source(variant: Variant) -> RenderableType:
    """Number the lines and point at the one at fault."""
    syntax = Syntax("", "python", theme="ansi_dark", background_color="default")
    text = syntax.highlight(variant["source"])
    text.rstrip()
    lines = text.split("\n")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for style in ("bold red", "dim", ""):
        table.add_column(style=style, no_wrap=True)
    for number, line in enumerate(lines, start=1):
        at_fault = number == variant["fault"]
        table.add_row("→" if at_fault else " ", str(number), line, style="bold" if at_fault else "")
    if not variant["at_fault"]:
        return Group(table, Text("No line of it was at fault here.", style="green"))
    if not variant["fault"]:
        return table
    reason = f"→ line {variant['fault']}: {variant['fault_reason']}"
    return Group(table, Text(reason, style="red"))


def _finding(finding: Mapping[str, Any] | None) -> RenderableType:
    if finding is None:
        return Text("Nothing was found.", style="green")
    style = {"error": "bold red", "warning": "yellow"}.get(finding["severity"], "")
    title, _, what = finding["message"].partition(": ")
    head = Text.assemble(
        "Worst finding: ",
        (title, style),
        (f" ({finding['severity']}, {finding['evidence']})", "dim"),
        f" in {', '.join(finding['scenarios'])}",
    )
    fix = Text.assemble(("Fix: ", "bold green"), finding["fix"])
    return Group(head, Padding(Group(Text(what), fix), (0, 0, 0, 2)))


def _problems(variant: Variant, words: Mapping[str, str]) -> RenderableType:
    """List what was proven to go wrong, each with the scenarios it went wrong in."""
    seen: dict[str, list[str]] = {}
    for cell in variant["cells"]:
        for problem in cell["problems"]:
            name = cell["scenario"] if problem in MILD else _scenario(cell)
            seen.setdefault(problem, []).append(name)
    if not seen:
        return Text()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for problem, meaning in words.items():
        if problem in seen:
            mark = Text("·", style="dim") if problem in MILD else Text("✗", style="red")
            table.add_row(mark, f"{meaning}: {', '.join(seen[problem])}")
    for cell in variant["cells"]:
        if cell["burst"] and "refused" in cell["problems"]:
            table.add_row("", burst(cell["burst"]))
    heading = Text("What the client, the pool and the database show:")
    return Padding(Group(heading, Padding(table, (0, 0, 0, 2))), (1, 0, 0, 0))


def _scenario(cell: Mapping[str, Any]) -> str:
    remarks = [f"{error} after the answer" for error in cell["proven"]["errors_after_success"]]
    if cell["handlers_doing"]:
        remarks.append("the handler's own doing")
    return f"{cell['scenario']} ({', '.join(remarks)})" if remarks else str(cell["scenario"])
