"""An unchanged application in a folder, and the command line beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

import sessionwatch

PACKAGE_ROOT = str(Path(sessionwatch.__file__).resolve().parents[1])
PATIENCE_SECONDS = 60
SHOP = '''
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine("sqlite:///shop.db")
SessionLocal = sessionmaker(engine)
app = FastAPI()
kept = []


def get_db():
    session = SessionLocal()
    yield session


@app.get("/leak/{number}")
def leak(number: int, session: Session = Depends(get_db)):
    kept.append(session)
    return session.scalar(text("SELECT 1"))


@app.get("/fine")
def fine():
    with SessionLocal() as session:
        return session.scalar(text("SELECT 1"))


def create_app():
    return app


async def plain(scope, receive, send):
    """No framework at all."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan here")
    leak(1, SessionLocal())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"plain"})
'''
LEAK_LINE = SHOP.splitlines().index("    session = SessionLocal()") + 1


class Running:
    """A command that runs, and what it prints to both streams, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def printed(self) -> str:
        """All that it has printed."""
        return "".join(self.lines)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed what matches."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(pattern, self.printed)):
            ended = self.process.poll() is not None
            if ended:
                self._reader.join(5)
                found = re.search(pattern, self.printed)
                if found:
                    break
            assert not ended, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.01)
        return found

    def end(self, number: int) -> int:
        """Send it a signal and return its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(10)
        return status


@pytest.fixture
def folder(tmp_path):
    """Where the application stands."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


@pytest.fixture
def start(folder):
    """Starts `sessionwatch` with some arguments; what still runs is killed after the test."""
    started = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sessionwatch", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": PACKAGE_ROOT, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(Running(process))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait(10)
        running.process.stdout.close()


@pytest.fixture
def serve(start):
    """Serves an application by `sessionwatch run`; returns the command and a client."""
    clients = []

    def serve(application="shop:app", *options, **environment):
        running = start("run", application, "--port", "0", *options, **environment)
        port = running.wait_for(r"running on http://127\.0\.0\.1:(\d+)")[1]
        running.wait_for("Application startup complete|ASGI 'lifespan' protocol appears")
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False))
        return running, clients[-1]

    yield serve
    for client in clients:
        client.close()


@pytest.fixture
def leak_line() -> int:
    """The line of the application that opens the session which leaks."""
    return LEAK_LINE
