"""`python -m demo_app` serves the shop, and says in one line when it cannot."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    started = []

    def run(port: int | str) -> subprocess.Popen:
        environment = {**os.environ, "PORT": str(port), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, "-m", "demo_app"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.terminate()
        process.communicate(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_serves(run, tmp_path):
    port = free_port()
    process = run(port)
    deadline = time.monotonic() + 20
    while True:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/items/")
            break
        except httpx.TransportError:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert answer.json() == {"message": "Database session is ready"}
    assert len(httpx.get(f"http://127.0.0.1:{port}/items/all").json()) == 3
    assert (tmp_path / "test.db").exists()


def test_a_taken_port_is_one_clear_line(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run(port)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors == f"port {port} on 127.0.0.1 is taken: end what listens there, or set PORT\n"


@pytest.mark.parametrize("port", ["abc", "0", "65536", ""])
def test_a_port_that_is_none_is_one_clear_line(run, port):
    process = run(port)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors == f"PORT is {port!r}: give it a number from 1 to 65535\n"


def test_a_database_that_is_none_is_one_clear_line(run, tmp_path):
    (tmp_path / "test.db").write_text("anything but a database")
    process = run(free_port())
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors == (
        "cannot use test.db in this folder (file is not a database): run this in another folder, "
        "one that you may write to\n"
    )


def test_it_knows_nothing_of_the_watch():
    for file in (ROOT / "demo_app").glob("*.py"):
        assert "sessionwatch" not in file.read_text(encoding="utf-8"), file
