"""`--fail-on`: which findings make a run fail."""

from __future__ import annotations

from collections.abc import Iterable

from sessionwatch.rules.catalog import CATALOG
from sessionwatch.rules.rule import Severity

from .errors import LabError
from .measure import CellResult


def check_condition(condition: str) -> str:
    """Return the code or severity as it is written in reports; raise LabError for any other."""
    if condition.upper() in CATALOG:
        return condition.upper()
    if condition.lower() in set(Severity):
        return condition.lower()
    raise LabError(
        f"--fail-on: {condition!r} is neither a severity ({', '.join(Severity)}) "
        f"nor a code ({', '.join(CATALOG)})"
    )


def met_conditions(results: Iterable[CellResult], conditions: tuple[str, ...]) -> list[str]:
    """Return which of the conditions were met; a severity is met by itself and anything worse."""
    found = {
        (finding["code"], Severity(finding["severity"]).rank)
        for result in results
        for finding in result.findings
    }
    codes = {code for code, _ in found}
    worst = max((rank for _, rank in found), default=-1)
    return [
        condition
        for condition in conditions
        if condition in codes or (condition in set(Severity) and worst >= Severity(condition).rank)
    ]
