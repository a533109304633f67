"""All that was measured, as plain values that JSON can hold."""

import itertools
import os
import platform
import sqlite3
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

from benchmarks.applications import WORKLOADS
from benchmarks.contestants import BARE, CONTESTANTS
from benchmarks.memory import Memory
from benchmarks.turns import DRIVES, Times

_ALWAYS = ("sessionwatch", "fastapi", "starlette", "sqlalchemy", "uvicorn", "asyncpg", "greenlet")


def versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of everything that took part and is installed."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    contestants = (CONTESTANTS[name].distributions for name in names)
    for distribution in dict.fromkeys((*_ALWAYS, *(each for all_ in contestants for each in all_))):
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return what the machine is, and how busy it is: the load of the last 15 minutes."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[2], 2),
    }


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, median, upper


def ratios(times: Times) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Return the ratios to bare by drive, contestant and workload, each in the order it is listed.

    Other load on the machine disturbs the fastest quarter of the turns least: `ratio_of_fastest` is
    that of their means.
    """
    drives: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for drive, name, workload in itertools.product(DRIVES, CONTESTANTS, WORKLOADS):
        values = times.ratios.get((drive, workload, name))
        if values:
            seconds = times.seconds[drive, workload, name]
            fastest = _fastest(times.seconds[drive, workload, BARE])
            lower, median, upper = spread(values)
            drives.setdefault(drive, {}).setdefault(name, {})[workload] = {
                "ratio": median,
                "lower_quartile": lower,
                "upper_quartile": upper,
                "ratio_of_fastest": _fastest(seconds) / fastest,
                "microseconds": statistics.median(seconds) * 1e6,
                "turns": len(values),
            }
    return drives


def _fastest(seconds: Sequence[float]) -> float:
    return statistics.mean(sorted(seconds)[: max(1, len(seconds) // 4)])


def memory_of(memory: Memory) -> dict[str, Any]:
    """Return what contestants keep, in bytes, with growth per 100,000 requests."""
    plain = asdict(memory)
    requests = memory.amounts.requests
    plain["grown_per_100_000"] = {
        name: grown * 100_000 / requests for name, grown in memory.grown.items()
    }
    return plain
