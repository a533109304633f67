"""Mixed traffic at full speed for long: memory must stay flat, and the counts must balance.

    python -m benchmarks.soak [--minutes N]

Logs a line each minute (at least four in all): requests, resident memory, sessions. Exits with 1
if memory has grown by more than 4 MiB since the first quarter, or if counts do not balance.
"""

import asyncio
import gc
import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import sessionwatch
from benchmarks.mixed_application import Base, create_application
from benchmarks.mixed_traffic import answer_to, random_steps
from sessionwatch import SessionWatch, Settings

DEFAULT_MINUTES = 30.0
GROWTH_ALLOWED_MIB = 4.0
STEPS_PER_SEED = 2_000
COLLECTED_EVERY = 200
SNAPSHOT_SECONDS = 1.0


def resident_mib() -> float:
    """Return the memory of this process that is in use now, in MiB; reads /proc, so on Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


def set_up(engine: Engine) -> None:
    """Have an engine's connections enforce foreign keys, and not wait for the disk."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, entry: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()


def take_snapshots(watch: SessionWatch, over: threading.Event) -> None:
    """Look at the watch each second, as a dashboard does."""
    while not over.wait(SNAPSHOT_SECONDS):
        watch.snapshot().to_dict()


def work_off_a_job(watch: SessionWatch, create_session: sessionmaker[Session]) -> None:
    """Clear the table that grows, as a nightly job does."""
    with watch.owner("clear entries"), create_session.begin() as session:
        session.execute(text("DELETE FROM entry"))


async def drive(app: Any, watch: SessionWatch, create_session: Any, minutes: float) -> list[float]:
    """Send requests until the time is over; returns what memory was at each line of the log."""
    began = time.monotonic()
    pause = min(60.0, minutes * 60 / 8)
    next_line, requests, memory = began + pause, 0, []
    for seed in itertools.count():
        for step in random_steps(seed, STEPS_PER_SEED):
            await answer_to(app, step, app.state.hanging)
            requests += 1
            if requests % COLLECTED_EVERY == 0:
                gc.collect()
            if time.monotonic() >= next_line:
                next_line += pause
                memory.append(resident_mib())
                print(line(watch, requests, time.monotonic() - began, memory[-1]), flush=True)
                if time.monotonic() - began >= minutes * 60 - 1:
                    return memory
        work_off_a_job(watch, create_session)
    return memory


def line(watch: SessionWatch, requests: int, seconds: float, memory: float) -> str:
    """Return what a minute is logged with."""
    counts = watch.snapshot().totals.counts
    return (
        f"{seconds:7.0f} s {requests:9} requests {memory:7.1f} MiB  opened {counts.opened} "
        f"closed {counts.closed} collected {counts.collected} open {counts.open}"
    )


def balance(watch: SessionWatch) -> list[str]:
    """Return what does not add up now that nothing runs any more."""
    gc.collect()
    snapshot = watch.snapshot()
    counts = snapshot.totals.counts
    checks = {
        "sessions open": (counts.open, 0),
        "sessions listed as open": (len(snapshot.open_sessions), 0),
        "connections returned": (counts.checkins, counts.checkouts),
        "internal errors": (snapshot.internal_errors["count"], 0),
        "owners under way": (watch.active_owners(), 0),
    }
    return [
        f"{name}: {seen}, not {right}" for name, (seen, right) in checks.items() if seen != right
    ]


def growth(memory: list[float]) -> float:
    """Return by how much the last quarter is above the end of the first, in MiB."""
    quarter = max(1, len(memory) // 4)
    return min(memory[-quarter:]) - memory[quarter - 1]


async def soak(folder: str, minutes: float) -> int:
    """Run the whole; returns the exit status."""
    engine = create_engine(f"sqlite:///{folder}/soak.db", max_overflow=-1)
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/soak.db")
    for each in (engine, async_engine.sync_engine):
        set_up(each)
    Base.metadata.create_all(engine)
    create_session = sessionmaker(engine)
    app = create_application(create_session, async_sessionmaker(async_engine, class_=AsyncSession))
    watch = sessionwatch.install(app, Settings(log_findings=False, extend_select=("SW304",)))
    over = threading.Event()
    looking = threading.Thread(target=take_snapshots, args=(watch, over))
    looking.start()
    try:
        memory = await drive(app, watch, create_session, minutes)
    finally:
        over.set()
        looking.join()
        await async_engine.dispose()
    wrong = balance(watch)
    grown = growth(memory)
    if grown > GROWTH_ALLOWED_MIB:
        wrong.append(f"memory grew by {grown:.1f} MiB, more than {GROWTH_ALLOWED_MIB:.0f}")
    watch.stop()
    engine.dispose()
    print(f"memory grew by {grown:.1f} MiB;", "; ".join(wrong) or "the counts balance")
    return 1 if wrong else 0


@click.command()
@click.option("--minutes", type=click.FloatRange(0.1), default=DEFAULT_MINUTES, show_default=True)
def main(minutes: float) -> None:
    """Have mixed traffic for long: memory must stay flat, and the counts must balance."""
    with tempfile.TemporaryDirectory() as place:
        sys.exit(asyncio.run(soak(place, minutes)))


if __name__ == "__main__":
    main()
