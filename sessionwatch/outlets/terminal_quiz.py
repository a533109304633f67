"""The quiz of a report: each question's printed answer against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

_STYLES = {
    "holds": "bold green",
    "holds, with a limit": "bold yellow",
    "contradicted": "bold red",
    "not measured": "dim",
}


def render_quiz(questions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return the five questions with their evidence."""
    heading = Rule("The quiz, held against these measurements", style="cyan", align="left")
    return Group(heading, *(_question(question) for question in questions))


def _question(question: Mapping[str, Any]) -> RenderableType:
    verdict = question["verdict"]
    lines = [
        Text.assemble((f"{question['number']}. {question['asks']}", "bold")),
        Text.assemble("   printed answer ", (question["printed"], "cyan")),
        Text.assemble("   measured: ", (verdict, _STYLES[verdict])),
    ]
    evidence = [Padding(Text(sentence), (0, 0, 0, 5)) for sentence in question["evidence"]]
    return Group(*lines, *evidence, Text())
