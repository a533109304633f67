"""`--fail-on`: which findings make a command fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sessionwatch.rules.catalog import CATALOG
from sessionwatch.rules.rule import Severity


def check_condition(condition: str) -> str:
    """Return the code or severity as it is written in reports; raises `ValueError` otherwise."""
    if condition.upper() in CATALOG:
        return condition.upper()
    if condition.lower() in set(Severity):
        return condition.lower()
    raise ValueError(
        f"--fail-on: {condition!r} is neither a severity ({', '.join(Severity)}) "
        f"nor a code ({', '.join(CATALOG)})"
    )


def met_conditions(findings: Iterable[Mapping[str, Any]], conditions: tuple[str, ...]) -> list[str]:
    """Return which of the conditions were met; a severity is met by itself and anything worse."""
    found = {(finding["code"], Severity(finding["severity"]).rank) for finding in findings}
    codes = {code for code, _ in found}
    worst = max((rank for _, rank in found), default=-1)
    return [
        condition
        for condition in conditions
        if condition in codes or (condition in set(Severity) and worst >= Severity(condition).rank)
    ]
