"""Every rule by its code, and those that judge an owner at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sessionwatch.records.incident import Incident
from sessionwatch.records.owner import Owner
from sessionwatch.rules import (
    sw101,
    sw102,
    sw103,
    sw104,
    sw105,
    sw106,
    sw107,
    sw201,
    sw202,
    sw203,
    sw204,
    sw205,
    sw206,
    sw301,
    sw302,
    sw303,
    sw304,
    sw401,
    sw402,
    sw403,
    sw404,
    sw501,
    sw502,
    sw503,
    sw504,
)
from sessionwatch.rules.rule import Finding, Rule

_AT_THE_OWNERS_END = (sw101, sw103, sw107, sw201, sw202, sw203, sw205, sw206, sw301, sw403)
_AT_ONCE = (
    sw104,
    sw105,
    sw106,
    sw204,
    sw302,
    sw304,
    sw401,
    sw402,
    sw404,
    sw502,
    sw503,
    sw504,
)
_OF_A_HOLD = (sw303, sw102)
_OF_A_POOL = (sw501,)

CATALOG: dict[str, Rule] = {
    rule.code: rule
    for rule in sorted(
        (
            module.RULE
            for modules in (_AT_THE_OWNERS_END, _AT_ONCE, _OF_A_HOLD, _OF_A_POOL)
            for module in modules
        ),
        key=lambda rule: rule.code,
    )
}

OWNER_RULES: dict[str, Callable[[Owner], Iterator[Finding]]] = {
    module.RULE.code: module.check for module in _AT_THE_OWNERS_END
}
"""The rules that judge an owner that has ended and whose sessions are settled, or should be."""

INCIDENT_RULES: dict[type[Incident], tuple[str, Callable[[Any], Iterator[Finding]]]] = {
    module.INCIDENT: (module.RULE.code, module.check) for module in _AT_ONCE
}
"""The rule that judges each class of incident, with its code."""

STATIC_CODES = tuple(f"SW{number}" for number in range(601, 611))
"""The codes of `sessionwatch lint`, whose rules are not imported for the sake of their names."""
ALL_CODES = (*CATALOG, *STATIC_CODES)
