"""Real runs of `sessionwatch compare`, each made once and read by many tests."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import sessionwatch

PACKAGE_ROOT = str(Path(sessionwatch.__file__).resolve().parents[1])
RUN_SECONDS = 120


class Run:
    """One finished `compare --json`, with quick ways into its report."""

    def __init__(self, finished: dict[str, Any]) -> None:
        self.exit_status: int = finished["exit_status"]
        self.report: dict[str, Any] = finished["report"]

    def variant(self, key: str) -> dict[str, Any]:
        return next(each for each in self.report["variants"] if each["key"] == key)

    def cell(self, variant: str, scenario: str) -> dict[str, Any]:
        cells = self.variant(variant)["cells"]
        return next(each for each in cells if each["scenario"] == scenario)

    def proven(self, variant: str, scenario: str) -> dict[str, Any]:
        return self.cell(variant, scenario)["proven"]

    def codes(self, variant: str, scenario: str) -> dict[str, str]:
        """The codes that were found in a cell, with their severity."""
        findings = self.cell(variant, scenario)["findings"]
        return {finding["code"]: finding["severity"] for finding in findings}


def start_process(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m sessionwatch` with these arguments, as the tests import it."""
    known = {"PYTHONPATH": PACKAGE_ROOT, "COLUMNS": "100"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "sessionwatch", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **known, **environment},
    )


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the same to its end."""
    with start_process(*arguments, **environment) as process:
        stdout, stderr = process.communicate(timeout=RUN_SECONDS)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line."""
    return run_command


@pytest.fixture(scope="session")
def package_root() -> str:
    """The folder that `sessionwatch` and `demo_app` are imported from."""
    return PACKAGE_ROOT


@pytest.fixture(scope="session")
def start_command() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line."""
    return start_process


def compare(*arguments: str) -> dict[str, Any]:
    """Run `compare --json` and return its exit status and its report."""
    finished = run_command("compare", "--json", *arguments)
    assert finished.stdout, finished.stderr
    return {"exit_status": finished.returncode, "report": json.loads(finished.stdout)}


@pytest.fixture(scope="session")
def run_compare() -> Callable[..., dict[str, Any]]:
    """Runs `compare --json`."""
    return compare


@pytest.fixture(scope="session")
def make_run() -> type[Run]:
    """Reads what `run_compare` returned."""
    return Run


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Make a value once for all processes of this test run, which share it through a file."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def make_once(name: str, make: Callable[[], Any]) -> Any:
        kept = folder / f"{name}.json"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                kept.write_text(json.dumps(make()))
        return json.loads(kept.read_text())

    return make_once


@pytest.fixture
def unused_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def insert_order() -> Callable[..., None]:
    """Insert an order with its lines through a driver's connection."""

    def insert(connection: Any, reference: str, lines: int = 1) -> None:
        cursor = connection.execute("INSERT INTO orders (reference) VALUES (?)", (reference,))
        for _ in range(lines):
            connection.execute(
                "INSERT INTO order_lines (order_id, item) VALUES (?, 'apple')", (cursor.lastrowid,)
            )

    return insert


@pytest.fixture(scope="session")
def full_run(once: Callable[..., Any]) -> Run:
    """Every sync variant in every scenario, on SQLite."""
    return Run(once("full_run", compare))


@pytest.fixture(scope="session")
def async_run(once: Callable[..., Any]) -> Run:
    """Every AsyncSession variant on SQLite, in the scenarios that tell them apart."""
    pytest.importorskip("aiosqlite")
    scenarios = ("success", "http-exception", "commit-fails", "swallowed-transfer", "stream")
    chosen = [f"--scenario={key}" for key in scenarios]
    return Run(once("async_run", lambda: compare("--async", *chosen)))


@pytest.fixture(scope="session")
def commits_after_response() -> bool:
    """Whether this FastAPI runs the exit of a `yield` dependency after the response."""
    return _fastapi() >= (0, 118)


@pytest.fixture(scope="session")
def has_function_scope() -> bool:
    """Whether this FastAPI knows `Depends(..., scope="function")`."""
    return _fastapi() >= (0, 121)


def _fastapi() -> tuple[int, int]:
    major, minor = version("fastapi").split(".")[:2]
    return int(major), int(minor)
