"""The command: `python -m benchmarks`."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import memory, postgres, report, results, targets
from benchmarks.applications import WORKLOADS, Workload
from benchmarks.contestants import AGAIN, BARE, CONTESTANTS
from benchmarks.turns import DRIVES, Times, take_turns

_WIDTH = 160


@click.command()
@click.option("--workload", "workloads", multiple=True, type=click.Choice(list(WORKLOADS)))
@click.option("--contestant", "names", multiple=True, type=click.Choice(list(CONTESTANTS)))
@click.option("--drive", "drives", multiple=True, type=click.Choice(DRIVES))
@click.option("--processes", type=click.IntRange(1), help="Of each contestant; 6, or 1.")
@click.option("--rounds", type=click.IntRange(1), help="For each process; 6, or 1.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the results there.")
@click.option("--quick", is_flag=True, help="Measure little of everything, in a minute.")
@click.option("--no-memory", is_flag=True, help="Measure processor time alone.")
@click.option("--million", is_flag=True, help="Also use a million sessions, for minutes.")
def main(
    workloads: tuple[str, ...],
    names: tuple[str, ...],
    drives: tuple[str, ...],
    processes: int | None,
    rounds: int | None,
    file: Path | None,
    quick: bool,
    no_memory: bool,
    million: bool,
) -> None:
    """Measure what watching costs; each of the first three options may be given several times."""
    taking_part = [name for name in CONTESTANTS if not names or name in (*names, BARE, AGAIN)]
    many = {"processes": processes or (1 if quick else 6), "rounds": rounds or (1 if quick else 6)}
    found: dict[str, Any] = {
        "versions": results.versions(taking_part),
        "machine": results.machine(),
        "made": many,
    }
    chosen = [WORKLOADS[name] for name in workloads or WORKLOADS]
    times = _times(taking_part, chosen, drives or DRIVES, many)
    found["drives"], found["absent"] = results.ratios(times), times.absent
    found["disabled_in_one_process"] = times.paired
    found["memory"] = None
    if not no_memory:
        amounts = memory.QUICK if quick else memory.Amounts()
        kept = memory.measure(taking_part, amounts, million=million, progress=_progress)
        found["memory"] = results.memory_of(kept)
        found["absent"].update(kept.absent)
    checked = targets.check(found)
    found["targets"] = [{**asdict(target), "verdict": target.verdict} for target in checked]
    if file is not None:
        file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    report.show(found, checked, Console(width=_WIDTH))


def _times(
    names: Sequence[str], workloads: Sequence[Workload], drives: Sequence[str], many: dict[str, int]
) -> Times:
    with ExitStack() as stack:
        url, reason = None, None
        if any(workload.on_postgres for workload in workloads):
            try:
                url = stack.enter_context(postgres.server())
            except ImportError as error:
                reason = str(error)
        times = take_turns(names, workloads, drives, postgres_url=url, progress=_progress, **many)
    if reason is not None:
        times.absent["postgres"] = reason
    return times


def _progress(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
