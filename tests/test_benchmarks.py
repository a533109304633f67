"""The benchmark runs, says what it could not measure, and writes what it measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TARGETS_OF_TIME = 5


def _run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _is_installed(distribution):
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def test_benchmark_measures_ratios_to_bare_in_both_drives(tmp_path):
    file = tmp_path / "results.json"
    printed = _run(
        *("--quick", "--no-memory", "--rounds", "1", "--json", str(file)),
        *("--workload", "select", "--workload", "threads"),
        *("--contestant", "default", "--contestant", "sentry-sdk"),
    )
    results = json.loads(file.read_text(encoding="utf-8"))
    for drive in ("asgi", "uvicorn"):
        measured = results["drives"][drive]
        assert {"bare", "default"} <= set(measured)
        for workload in ("select", "threads"):
            assert measured["bare"][workload]["ratio"] == 1
            assert measured["bare"][workload]["microseconds"] > 0
            assert measured["default"][workload]["ratio"] > 0
            assert measured["default"][workload]["turns"] == 1
    assert results["versions"]["sqlalchemy"] == metadata.version("sqlalchemy")
    assert len(results["targets"]) == TARGETS_OF_TIME
    if not _is_installed("sentry-sdk"):
        assert results["absent"] == {"sentry-sdk": "sentry-sdk is not installed"}
        assert "sentry-sdk is not installed" in printed
    assert "default, select, in process" in printed


def test_benchmark_measures_memory(tmp_path):
    file = tmp_path / "results.json"
    _run(
        *("--quick", "--rounds", "1", "--json", str(file)),
        *("--workload", "select", "--drive", "asgi", "--contestant", "default"),
    )
    memory = json.loads(file.read_text(encoding="utf-8"))["memory"]
    assert memory["opened"]["bare"] == 0
    assert memory["opened"]["default"] > 0
    assert memory["in_transaction"]["default"] > memory["opened"]["default"]
    assert set(memory["grown_per_100_000"]) == {"bare", "default"}
    assert memory["snapshot"]["median"] > 0
    assert memory["import_seconds"] > 0


@pytest.mark.parametrize("option", ["--workload", "--contestant", "--drive"])
def test_benchmark_refuses_what_it_does_not_know(option):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", option, "nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "'nothing' is not one of" in done.stderr
