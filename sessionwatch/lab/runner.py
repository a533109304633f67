"""Runs a plan on a few servers side by side, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo_app.variants import Variant

from .channel import Worker
from .client import Client
from .database import Database
from .errors import LabError, first_line
from .measure import Bench, CellResult
from .places import check_access, place_for
from .quiz_measure import QuizMeasures, measure_quiz
from .scenarios import Scenario
from .yours import Yours

SERVERS_AT_ONCE = 3
"""On two cores: while one server waits for a pool or a lock, the others have something to do."""

Progress = Callable[[str], None]
"""Told what has been measured, once for each step of `Plan.steps`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured; with a seed, the scenarios come in a shuffled order."""

    database: Database
    variants: tuple[Variant | Yours, ...]
    scenarios: tuple[Scenario, ...]
    pool_size: int = 5
    repeat: int = 1
    seed: int | None = None

    @property
    def steps(self) -> int:
        """How many times progress will be told."""
        return len(self.variants) * len(self.scenarios) * self.repeat + 1

    def rounds(self, variant: Variant | Yours) -> Iterator[tuple[int, list[Scenario]]]:
        """Return the number of each round and the order of its scenarios."""
        shuffle = None if self.seed is None else random.Random(f"{self.seed}/{variant.key}")  # noqa: S311
        for number in range(self.repeat):
            order = list(self.scenarios)
            if shuffle is not None:
                shuffle.shuffle(order)
            yield number, order


@dataclass(slots=True)
class Measured:
    """Everything that a run found: each cell's results, one per round, and the quiz's."""

    cells: dict[tuple[str, str], list[CellResult]] = field(default_factory=dict)
    quiz: QuizMeasures | None = None
    server: str = ""
    """The database's own version."""


async def run(plan: Plan, progress: Progress) -> Measured:
    """Measure the whole plan; raise LabError for what the user can put right."""
    measured = Measured()
    tasks: deque[Variant | Yours | None] = deque([*plan.variants, None])
    check_access(plan.database)
    with _folder(plan.database) as folder:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(min(SERVERS_AT_ONCE, len(tasks))):
                    name = f"sessionwatch_{secrets.token_hex(4)}_{number}"
                    group.create_task(_serve(plan, folder, name, tasks, measured, progress))
        except ExceptionGroup as errors:
            raise _first_leaf(errors) from None
    return measured


async def _serve(
    plan: Plan,
    folder: str,
    name: str,
    tasks: deque[Variant | Yours | None],
    measured: Measured,
    progress: Progress,
) -> None:
    """Take variant after variant to a server of this task's own; the last task is the quiz."""
    async with _bench(plan, folder, name) as bench:
        measured.server = bench.server
        while tasks:
            variant = tasks.popleft()
            if variant is None:
                measured.quiz = await measure_quiz(bench.worker, bench.client)
                progress("the quiz")
            else:
                await _measure_variant(plan, variant, bench, measured, progress)


async def _measure_variant(
    plan: Plan, variant: Variant | Yours, bench: Bench, measured: Measured, progress: Progress
) -> None:
    for number, order in plan.rounds(variant):
        for scenario in order:
            reference = f"{variant.key}/{scenario.key}/{number}"
            result = await bench.measure(variant, scenario, reference)
            measured.cells.setdefault((variant.key, scenario.key), []).append(result)
            progress(f"{variant.key}: {scenario.key}")


@asynccontextmanager
async def _bench(plan: Plan, folder: str, name: str) -> AsyncIterator[Bench]:
    """Yield a running server with its client, and see to it that both end."""
    database = plan.database
    worker = Worker(name)
    setting = {"url": database.url, "is_async": database.is_async, "folder": folder, "name": name}
    try:
        started = await worker.start(setting)
        client = Client(started["port"])
        try:
            yield Bench(worker, client, plan.pool_size, started["server"])
        finally:
            await client.close()
    finally:
        if not await worker.end():
            await asyncio.to_thread(_drop, database, folder, name)


def _drop(database: Database, folder: str, name: str) -> None:
    """Drop what a worker that died could not."""
    with contextlib.suppress(Exception):
        place_for(database, folder, name).drop()


def _first_leaf(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def _folder(database: Database) -> Iterator[str]:
    """Make the folder for SQLite's files, beside the file that the user named if there is one."""
    named = database.parsed.database if database.is_sqlite else None
    beside = Path(named).absolute().parent if named else None
    try:
        folder = tempfile.mkdtemp(prefix="sessionwatch-", dir=beside)
    except OSError as error:
        raise LabError(
            f"can't write in {beside or 'the temporary folder'} "
            f"({error.strerror or first_line(error)}): name a file in a folder that you can "
            "write in, as --database-url sqlite:///folder/lab.db"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
