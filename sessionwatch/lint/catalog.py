"""Every static rule, by its code."""

from __future__ import annotations

from sessionwatch.lint.finding import Check
from sessionwatch.lint.rules import (
    sw601,
    sw602,
    sw603,
    sw604,
    sw605,
    sw606,
    sw607,
    sw608,
    sw609,
    sw610,
)
from sessionwatch.rules.rule import Rule

_MODULES = (sw601, sw602, sw603, sw604, sw605, sw606, sw607, sw608, sw609, sw610)

LINT_CATALOG: dict[str, Rule] = {module.RULE.code: module.RULE for module in _MODULES}
LINT_RULES: dict[str, Check] = {module.RULE.code: module.check for module in _MODULES}
"""What finds it, by code."""
