"""The catalogue on a terminal: one rule with its examples, or the list of them all."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from sessionwatch.rules.catalog import STATIC_CODES
from sessionwatch.rules.lookup import one_line
from sessionwatch.rules.prelude import PRELUDE
from sessionwatch.rules.rule import Rule

from .terminal_console import make_console

_SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_WIDEST_PROSE = 88


def print_rules(rules: Iterable[Rule], console: Console | None = None) -> None:
    """Print a table of all rules."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("code", "name", "severity", "evidence"):
        table.add_column(heading, no_wrap=True)
    table.add_column("it means")
    for rule in rules:
        severity = Text(rule.severity.value, _SEVERITY_STYLES[rule.severity])
        table.add_row(rule.code, rule.name, severity, rule.evidence.value, one_line(rule))
    (console or make_console()).print(table)


def print_rule(rule: Rule, console: Console | None = None) -> None:
    """Print all that there is to say of one rule; source code is coloured on a terminal alone."""
    console = console or make_console()
    for part in _parts(rule, console):
        console.print(part, soft_wrap=True)


def plain_rule(rule: Rule) -> dict[str, Any]:
    """Return all that there is to say of one rule, for JSON."""
    return {
        **plain_summary(rule),
        "cause": rule.cause,
        "fix": rule.fix,
        "fine": rule.fine,
        "prelude": PRELUDE,
        "broken": rule.broken,
        "correct": rule.correct,
        "ignore": {key: example for key, _, _, example in _ways_to_ignore(rule.code)},
    }


def plain_summary(rule: Rule) -> dict[str, Any]:
    """Return what the list tells of a rule, for JSON."""
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity.value,
        "evidence": rule.evidence.value,
        "opt_in": rule.opt_in,
        "means": one_line(rule),
    }


def _parts(rule: Rule, console: Console) -> Iterable[Text]:
    severity = (rule.severity.value, _SEVERITY_STYLES[rule.severity])
    yield Text(f"{rule.code} {rule.name}: {one_line(rule)}", "bold")
    yield Text.assemble(severity, f" · {rule.evidence.value}")
    if rule.opt_in:
        yield Text(f'off until it is named: extend-select = ["{rule.code}"]')
    for title, prose in (
        ("Why it happens", rule.cause),
        ("What to do", rule.fix),
        ("When it is fine", rule.fine),
    ):
        yield Text(f"\n{title}", "bold")
        yield _prose(prose, console)
    for title, source in (
        (f"{rule.code} is found here", rule.broken),
        ("and not here", rule.correct),
        ("Both begin with these lines", PRELUDE),
    ):
        yield Text(f"\n{title}", "bold")
        yield _source(source, "python", console)
    yield Text("\nHow to ignore it", "bold")
    for _, way, language, example in _ways_to_ignore(rule.code):
        yield _prose(f"{way}:", console)
        yield _source(textwrap.indent(example, "  "), language, console)


def _prose(text: str, console: Console) -> Text:
    width = min(console.width, _WIDEST_PROSE) - 2
    return Text(textwrap.indent(textwrap.fill(text, width, break_on_hyphens=False), "  "))


def _source(source: str, language: str, console: Console) -> Text:
    """Return code that is neither wrapped nor cut, so that it can be copied."""
    indented = textwrap.indent(source.rstrip(), "  ")
    if not console.is_terminal:
        return Text(indented)
    text = Syntax("", language, theme="ansi_dark").highlight(indented)
    text.rstrip()
    return text


def _ways_to_ignore(code: str) -> list[tuple[str, str, str, str]]:
    """Return each way by its key, with its words, its language and an example."""
    in_file = (
        "pyproject",
        "in pyproject.toml",
        "toml",
        f'[tool.sessionwatch]\nignore = ["{code}"]',
    )
    if code in STATIC_CODES:
        comment = f"...  # sessionwatch: ignore[{code}]"
        for_one_run = f"sessionwatch lint --ignore {code} ."
        return [
            ("comment", "on its line", "python", comment),
            in_file,
            ("environment", "for one run", "bash", for_one_run),
        ]
    route = f'[tool.sessionwatch.per-route-ignores]\n"GET /items/*" = ["{code}"]'
    by_mark = (
        f'@app.get("/")\n@sessionwatch.allow("{code}")\ndef route(): ...\n\n'
        f'with sessionwatch.allow("{code}"):\n    ...'
    )
    by_call = f'sessionwatch.install(app, sessionwatch.Settings.load(ignore=["{code}"]))'
    return [
        in_file,
        ("route", "on some routes only", "toml", route),
        ("environment", "for one run", "bash", f"SESSIONWATCH_IGNORE={code}"),
        ("call", "in code", "python", by_call),
        ("allow", "where it is meant", "python", by_mark),
    ]
