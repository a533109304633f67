"""Every rule by its code, and those that judge an owner at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sessionwatch.records.incident import Incident
from sessionwatch.records.owner import Owner
from sessionwatch.rules import (
    sw101,
    sw103,
    sw105,
    sw106,
    sw107,
    sw201,
    sw202,
    sw203,
    sw206,
    sw301,
    sw304,
    sw404,
    sw501,
    sw503,
    sw504,
)
from sessionwatch.rules.rule import Finding, Rule

CATALOG: dict[str, Rule] = {
    module.RULE.code: module.RULE
    for module in (
        sw101,
        sw103,
        sw105,
        sw106,
        sw107,
        sw201,
        sw202,
        sw203,
        sw206,
        sw301,
        sw304,
        sw404,
        sw501,
        sw503,
        sw504,
    )
}

OWNER_RULES: dict[str, Callable[[Owner], Iterator[Finding]]] = {
    module.RULE.code: module.check
    for module in (sw101, sw103, sw107, sw201, sw202, sw203, sw206, sw301)
}
"""The rules that judge an owner that has ended and whose sessions are settled, or should be."""

INCIDENT_RULES: dict[type[Incident], tuple[str, Callable[[Any], Iterator[Finding]]]] = {
    module.INCIDENT: (module.RULE.code, module.check)
    for module in (sw105, sw106, sw304, sw404, sw503, sw504)
}
"""The rule that judges each class of incident, with its code."""
