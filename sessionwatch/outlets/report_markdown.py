"""The report of `sessionwatch compare` as Markdown, short enough for a comment on a change."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .report_words import (
    COLUMNS,
    Report,
    Variant,
    agreement,
    circumstances,
    disagreements,
    fail_on,
    shown_variants,
    unstable,
    versions,
)
from .reportable import without_code


def markdown_report(report: Report) -> str:
    """Return a table with a row for each variant, and the worst finding of each that is shown."""
    lines = [
        "### sessionwatch compare",
        "",
        *_table(report),
        "",
        *(line for variant in shown_variants(report) for line in _worst(variant)),
        agreement(report),
        *(text(f"- {cell}: {'; '.join(words)}") for cell, words in disagreements(report).items()),
        *(f"- {text(words)}" for words in unstable(report)),
    ]
    if fail_on(report):
        lines += ["", f"**{fail_on(report)}**"]
    return "\n".join([*lines, "", f"<sub>{versions(report)} · {circumstances(report)}</sub>"])


def _table(report: Report) -> Iterator[str]:
    yield row("get_db", *COLUMNS.values(), "verdict")
    yield row("---", *("--:" for _ in COLUMNS), "---")
    for variant in report["variants"]:
        numbers = (variant["columns"][key] for key in COLUMNS)
        shown = ("-" if number is None else str(number) for number in numbers)
        yield row(f"`{variant['key']}`", *shown, text(variant["verdict"]))


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def _worst(variant: Variant) -> Iterator[str]:
    """Tell the worst finding with its fix, folded away."""
    finding = variant["worst_finding"]
    if finding is None:
        return
    scenarios = ", ".join(finding["scenarios"])
    code = f"{finding['code']} {finding['name']} ({finding['severity']})"
    yield f"<details><summary><code>{variant['key']}</code>: {code} in {scenarios}</summary>"
    yield ""
    yield text(without_code(finding["code"], finding["name"], finding["message"]))
    yield ""
    yield f"Fix: {text(finding['fix'], code=True)}"
    if variant["fault"]:
        yield ""
        yield f"Line {variant['fault']}: {text(variant['fault_reason'])}"
        yield ""
        fence = _fence(variant["source"])
        yield f"{fence}python"
        for number, line in enumerate(variant["source"].splitlines(), start=1):
            yield f"{line}  # <- here" if number == variant["fault"] else line
        yield fence
    yield ""
    yield "</details>"
    yield ""


def _fence(source: str) -> str:
    """Return backquotes that no line of the source can end."""
    longest = max((len(run) for run in re.findall("`+", source)), default=0)
    return "`" * max(3, longest + 1)


_SPECIAL = str.maketrans({each: f"\\{each}" for each in "\\*_[]<>|#~"} | {"\n": " ", "\r": " "})


def text(plain: str, *, code: bool = False) -> str:
    """Return a text that Markdown shows as it is; with `code`, what is in backquotes stays so."""
    if not code:
        return plain.translate(_SPECIAL).replace("`", "\\`")
    parts = plain.split("`")
    return "`".join(
        part if index % 2 else part.translate(_SPECIAL) for index, part in enumerate(parts)
    )
