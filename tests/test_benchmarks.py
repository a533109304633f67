"""The benchmark runs, says what it could not measure, and writes what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from benchmarks.plugin import SUITES

ROOT = Path(__file__).resolve().parent.parent


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


def _is_installed(distribution):
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What one quick run printed, and what it wrote."""
    file = tmp_path_factory.mktemp("benchmarks") / "results.json"
    done = _run(
        *("--quick", "--rounds", "1", "--json", str(file)),
        *("--workload", "select", "--workload", "threads"),
        *("--contestant", "default", "--contestant", "sentry-sdk"),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("drive", ["asgi", "uvicorn"])
@pytest.mark.parametrize("workload", ["select", "threads"])
def test_contestants_are_compared_with_bare(run, drive, workload):
    _, results = run
    measured = results["drives"][drive]
    assert measured["bare"][workload]["ratio"] == 1
    assert measured["bare"][workload]["microseconds"] > 0
    assert measured["default"][workload]["ratio"] > 0
    assert measured["default"][workload]["turns"] == 1


def test_peer_that_is_not_installed_is_named(run):
    printed, results = run
    if _is_installed("sentry-sdk"):
        assert "sentry-sdk" in results["drives"]["asgi"]
    else:
        assert results["absent"] == {"sentry-sdk": "sentry-sdk is not installed"}
        assert "not measured: sentry-sdk: sentry-sdk is not installed" in printed


def test_memory_is_compared_with_bare(run):
    memory = run[1]["memory"]
    assert memory["opened"]["bare"] == 0
    assert 0 < memory["opened"]["default"] < memory["in_transaction"]["default"]
    assert {"bare", "default"} <= set(memory["grown_per_100_000"])
    assert memory["snapshot"]["median"] > 0
    assert min(memory["import_seconds"]) > 0


def test_every_target_is_printed_with_what_was_measured(run):
    printed, results = run
    for target in results["targets"]:
        assert target["text"] in printed
    measured = {target["text"]: target["measured"] for target in results["targets"]}
    assert measured["default, select, in process"] > 0
    assert measured["growth over a million sessions"] is None
    assert results["versions"]["sqlalchemy"] == metadata.version("sqlalchemy")


def test_workload_that_is_not_known_is_refused():
    done = _run("--workload", "nothing")
    assert done.returncode == 2
    assert "'nothing' is not one of" in done.stderr


def test_plugin_is_compared_with_a_run_without():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.plugin", "--tests", "3", "--pairs", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    suites = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert suites == [*SUITES]
    assert all(float(line.split()[-4]) > 0 for line in done.stdout.splitlines())
