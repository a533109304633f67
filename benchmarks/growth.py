"""Memory that grows with what is past: resident bytes after many requests (in the child)."""

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from benchmarks.applications import Item

if TYPE_CHECKING:
    from benchmarks.child import Stage

_STATISTICS = Path("/proc/self/statm")
_SESSIONS_OF_ONE_OWNER = 10


def resident_bytes() -> int:
    """Return the memory that this process has in use, after a collection; Linux only."""
    gc.collect()
    pages = int(_STATISTICS.read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(stage: "Stage", workload: str, warm_up: int, requests: int) -> int:
    """Return by how many bytes the process grows over requests, after some to warm up."""
    stage.seconds_per_request(workload, warm_up)
    before = resident_bytes()
    stage.seconds_per_request(workload, requests)
    return resident_bytes() - before


async def measure_sessions(stage: "Stage", sessions: int, every: int) -> list[int]:
    """Return the resident bytes before, and each time that `every` more sessions were used."""
    seen = [resident_bytes()]
    for number in range(0, sessions, _SESSIONS_OF_ONE_OWNER):
        with stage.owner():
            for _ in range(_SESSIONS_OF_ONE_OWNER):
                with stage.application.create_session() as session:
                    session.scalars(select(Item)).all()
        if (number + _SESSIONS_OF_ONE_OWNER) % every == 0:
            seen.append(resident_bytes())
    return seen
