"""Finding rules by what people write, and naming the nearest when they err."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from sessionwatch.rules.catalog import CATALOG
from sessionwatch.rules.rule import Rule

_FAMILY = len("SW6")


def find_rule(text: str) -> Rule:
    """Return the rule of a code or name in any case; raise `LookupError` naming the nearest."""
    wanted = text.strip().casefold()
    rules = all_rules().values()
    for rule in rules:
        if wanted in (rule.code.casefold(), rule.name):
            return rule
    known = [spelling for rule in rules for spelling in (rule.code, rule.name)]
    raise LookupError(f"unknown rule {text!r}; did you mean {nearest(text, known)}?")


def family(text: str) -> list[Rule]:
    """Return the rules of "SW6", whose codes go on with two more digits, in any case."""
    wanted = text.strip().upper()
    return [rule for code, rule in all_rules().items() if code[:_FAMILY] == wanted]


def all_rules() -> dict[str, Rule]:
    """Return every rule by its code, those of the static check too, which only this imports."""
    from sessionwatch.lint.catalog import LINT_CATALOG

    return {**CATALOG, **LINT_CATALOG}


def nearest(text: str, known: Iterable[str]) -> str:
    """Return what of `known` looks most like `text`, whatever the case and kind of dash."""
    from difflib import SequenceMatcher  # only a mistake needs it

    def likeness(candidate: str) -> tuple[float, int]:
        matcher = SequenceMatcher(None, _plain(text), _plain(candidate))
        return matcher.ratio(), matcher.find_longest_match().size

    return max(known, key=likeness)


def one_line(rule: Rule) -> str:
    """Return the sentence that the rule's module begins with, or its cause under `python -OO`."""
    package = "rules" if rule.code in CATALOG else "lint.rules"
    module = import_module(f"sessionwatch.{package}.{rule.code.lower()}")
    documentation = module.__doc__ or rule.cause
    return documentation.removeprefix(f"{rule.code} {rule.name}: ").split("\n", 1)[0]


def _plain(text: str) -> str:
    return text.strip().casefold().replace("-", "_")
