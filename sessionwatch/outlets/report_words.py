"""What every form of a `compare` report says in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Report = Mapping[str, Any]
Variant = Mapping[str, Any]
Cell = Mapping[str, Any]

MILD = ("late",)
"""The problems that a team may live with."""
HANDLERS_OWN = frozenset({"half-done", "kept"})
"""What a handler may do by itself, whatever the `get_db`."""
COLUMNS = {
    "opened": "opened",
    "closed": "closed",
    "committed": "committed",
    "rolled_back": "rolled back",
    "leaked": "leaked",
    "partial_commits": "partial commits",
    "lost_writes": "lost writes",
    "acknowledged_but_lost": "200 but lost",
    "refused": "refused",
}
"""The numbers of a variant, in the order in which they are shown."""
HARMFUL = ("leaked", "partial_commits", "lost_writes", "acknowledged_but_lost", "refused")
"""Those of them that should be 0."""


def count(number: int, word: str) -> str:
    """Return a number with its word: "1 cell", "2 cells"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def is_about_yours(report: Report) -> bool:
    """Whether the user's own dependency was measured."""
    return any(variant["key"] == "yours" for variant in report["variants"])


def shown_variants(report: Report) -> list[Variant]:
    """Return the variants to show in full: the user's own, or else all of them."""
    yours = [variant for variant in report["variants"] if variant["key"] == "yours"]
    return yours or list(report["variants"])


def versions(report: Report) -> str:
    """Return the versions of all that took part."""
    return " · ".join(f"{name} {version}" for name, version in report["versions"].items())


def circumstances(report: Report) -> str:
    """Return what was run on what, and how often."""
    plan, database = report["plan"], report["database"]
    kind = "AsyncSession" if database["is_async"] else "Session"
    variants, scenarios = len(report["variants"]), len(plan["scenarios"])
    run = [
        f"{count(variants, 'variant')} in {count(scenarios, 'scenario')}",
        f"{kind} on {database['label']} ({database['driver']})",
        f"pool of {plan['pool_size']}",
    ]
    if plan["repeat"] > 1:
        run.append(f"each measured {plan['repeat']} times, the first is shown")
    if plan["seed"] is not None:
        run.append(f"seed {plan['seed']}")
    return " · ".join([*run, f"{report['seconds']:.1f} s"])


def agreement(report: Report) -> str:
    """Say whether the two testimonies agree."""
    found = report["disagreements"]
    if found:
        return f"No. {count(len(found), 'disagreement')}, each one a fault of sessionwatch itself:"
    return (
        f"Yes. In {report['comparisons']} comparisons, what sessionwatch recorded and what the "
        "client, the call log, the pool and the database show were the same."
    )


def disagreements(report: Report) -> dict[str, list[str]]:
    """Return where the testimonies part, by cell."""
    cells: dict[str, list[str]] = {}
    for each in report["disagreements"]:
        cell = f"{each['variant']}, {each['scenario']}"
        cells.setdefault(cell, []).append(each["words"])
    return cells


def unstable(report: Report) -> list[str]:
    """Return a sentence for each cell whose verdict changed."""
    return [
        f"{each['variant']}, {each['scenario']}: the verdict changed between rounds: "
        + "; then ".join(", ".join(problems) or "nothing wrong" for problems in each["verdicts"])
        for each in report["unstable"]
    ]


def fail_on(report: Report) -> str:
    """Say whether what `--fail-on` asks for was found; nothing where it was not given."""
    asked, met = report["fail_on"]["asked"], report["fail_on"]["met"]
    if met:
        return f"--fail-on {', '.join(met)} is met: exit status 1."
    return f"--fail-on {', '.join(asked)} is not met." if asked else ""


def burst(numbers: Mapping[str, Any]) -> str:
    """Say what became of the requests of a burst."""
    seconds = numbers["recovery_seconds"]
    again = "never all served again"
    if seconds is not None:
        again = f"all served again {seconds:.1f} s later"
    return (
        f"{numbers['failing_refused']} of {numbers['failing']} failing and "
        f"{numbers['good_refused']} of {numbers['good']} good requests were refused; {again}"
    )
