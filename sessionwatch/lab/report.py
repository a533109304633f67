"""The report: one plain value, made of what was measured, that any outlet can print."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from demo_app.variants import Variant
from sessionwatch.conditions import met_conditions

from .measure import CellResult
from .quiz import answer_quiz
from .runner import Measured, Plan
from .scenarios import SCENARIOS_BY_KEY
from .summary import columns_of, is_at_fault, verdict_of, worst_finding
from .verdict import PROBLEMS
from .versions import versions
from .yours import YOURS, Yours

_OPENED_HERE = "The session of {} was opened here."

Report = dict[str, Any]
Rounds = dict[tuple[str, str], list[CellResult]]


def build_report(
    plan: Plan, measured: Measured, *, fail_on: tuple[str, ...] = (), seconds: float
) -> Report:
    """Return the whole report as JSON-ready values; `seconds` is what the run took."""
    cells = _in_order(measured, plan)
    results = [result for rounds in cells.values() for result in rounds]
    disagreements = [words for result in results for words in _disagreements(result)]
    unstable = _unstable(cells)
    tried = _on_trial(plan, results)
    met = met_conditions((each for result in tried for each in result.findings), fail_on)
    assert measured.quiz is not None
    first = {key: rounds[0] for key, rounds in cells.items()}
    classic = {(key, name): cell for (key, name), cell in first.items() if key != YOURS}
    return {
        "versions": versions(plan.database, measured.server),
        "database": _describe_database(plan),
        "plan": _describe_plan(plan),
        "seconds": round(seconds, 2),
        "problems": PROBLEMS,
        "variants": [_describe_variant(variant, plan, first) for variant in plan.variants],
        "quiz": [asdict(question) for question in answer_quiz(classic, measured.quiz)],
        "comparisons": sum(len(result.comparisons) for result in results),
        "disagreements": disagreements,
        "unstable": unstable,
        "fail_on": {"asked": list(fail_on), "met": met},
        "exit_status": 1 if disagreements or unstable or met else 0,
    }


def _on_trial(plan: Plan, results: list[CellResult]) -> list[CellResult]:
    """Return what `--fail-on` is about: the user's own dependency, where there is one."""
    yours = any(isinstance(variant, Yours) for variant in plan.variants)
    return [result for result in results if result.variant == YOURS] if yours else results


def _describe_database(plan: Plan) -> dict[str, Any]:
    database = plan.database
    embedded = database.is_sqlite and not database.parsed.database
    return {
        "label": "an embedded SQLite file" if embedded else database.label,
        "driver": database.driver,
        "is_async": database.is_async,
    }


def _describe_plan(plan: Plan) -> dict[str, Any]:
    return {
        "scenarios": [asdict(scenario) for scenario in plan.scenarios],
        "pool_size": plan.pool_size,
        "repeat": plan.repeat,
        "seed": plan.seed,
    }


def _describe_variant(
    variant: Variant | Yours, plan: Plan, first: dict[tuple[str, str], CellResult]
) -> dict[str, Any]:
    cells = [first[variant.key, scenario.key] for scenario in plan.scenarios]
    worst = worst_finding(cells)
    return {
        "key": variant.key,
        "title": variant.title,
        "origin": variant.origin,
        "commits": None if isinstance(variant, Yours) else variant.commits,
        "scope": variant.scope,
        "source": variant.source,
        **_describe_fault(variant, cells, worst),
        "columns": asdict(columns_of(cells)),
        "verdict": verdict_of(cells),
        "worst_finding": worst,
        "cells": [_describe_cell(cell) for cell in cells],
    }


def _describe_fault(
    variant: Variant | Yours, cells: list[CellResult], worst: dict[str, Any] | None
) -> dict[str, Any]:
    """Name the line at fault and why, if the variant was at fault at all."""
    at_fault = is_at_fault(cells)
    line: int | None
    if isinstance(variant, Yours):
        line, reason = _line_of_yours(variant, cells, worst)
    else:
        line, reason = variant.fault, variant.fault_reason
    return {"at_fault": at_fault, "fault": line if at_fault else None, "fault_reason": reason}


def _line_of_yours(
    yours: Yours, cells: list[CellResult], worst: dict[str, Any] | None
) -> tuple[int | None, str]:
    """Return the line that the worst finding names, or else the first that names one of yours."""
    findings = [worst] if worst else []
    for finding in findings + [each for cell in cells for each in cell.findings]:
        line = yours.line_of(finding["opened_at"])
        if line is not None:
            which = "the worst finding" if finding is worst else finding["code"]
            return line, _OPENED_HERE.format(which)
    return None, ""


def _describe_cell(cell: CellResult) -> dict[str, Any]:
    return {
        "scenario": cell.scenario,
        "handlers_doing": SCENARIOS_BY_KEY[cell.scenario].handlers_doing,
        "problems": list(cell.problems),
        "recorded": asdict(cell.recorded),
        "proven": asdict(cell.proven),
        "burst": asdict(cell.burst) if cell.burst else None,
        "comparisons": [{**asdict(each), "agrees": each.agrees} for each in cell.comparisons],
        "findings": cell.findings,
        "timeline": cell.timeline,
    }


def _disagreements(result: CellResult) -> list[dict[str, str]]:
    cell = {"variant": result.variant, "scenario": result.scenario}
    return [{**cell, "words": comparison.words} for comparison in result.disagreements]


def _unstable(cells: Rounds) -> list[dict[str, Any]]:
    """Return the cells whose verdict was not the same in every round."""
    unstable = []
    for (variant, scenario), rounds in cells.items():
        verdicts = [list(result.problems) for result in rounds]
        if any(verdict != verdicts[0] for verdict in verdicts):
            unstable.append({"variant": variant, "scenario": scenario, "verdicts": verdicts})
    return unstable


def _in_order(measured: Measured, plan: Plan) -> Rounds:
    """Return the cells in the plan's order, not in the order they happened to be measured."""
    keys = [(each.key, scenario.key) for each in plan.variants for scenario in plan.scenarios]
    return {key: measured.cells[key] for key in keys}
