"""The progress bar of a run: on a terminal it moves, elsewhere it is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yield what is to be told after each of `total` steps; the bar is drawn on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: None
        return
    with Progress(
        TextColumn("measuring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.description}", markup=True),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("starting the servers", total=total)

        def advance(step: str) -> None:
            bar.update(task, advance=1, description=step)

        yield advance
