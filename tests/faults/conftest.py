"""What every fault is followed by: counts that balance, and nothing kept alive."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

import sessionwatch
from sessionwatch import SessionWatch
from sessionwatch.instruments.holds import pool_records

PROJECT = str(Path(sessionwatch.__file__).resolve().parents[1])


class Truth:
    """An independent count of the sessions of one class, with nothing of sessionwatch."""

    def __init__(self) -> None:
        references: list[weakref.ref[Session]] = []
        self.references = references

        class CountedSession(Session):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                references.append(weakref.ref(self))

        self.session_class = CountedSession

    @property
    def opened(self) -> int:
        """How many there were."""
        return len(self.references)

    @property
    def alive(self) -> int:
        """How many there are still."""
        return sum(reference() is not None for reference in self.references)


@pytest.fixture
def truth() -> Truth:
    """What the test's own session class has counted."""
    return Truth()


@pytest.fixture(autouse=True)
def _pools_are_silent() -> Iterator[None]:
    """Log nothing of the pools': what pytest keeps of it keeps the sessions in its frames alive."""
    logger = logging.getLogger("sqlalchemy.pool")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


def let_workers_end() -> None:
    """Wait for anyio's threads, which keep what they were last called with until they end.

    Their loop tells them to end when it does, and does not wait for it.
    """
    for thread in threading.enumerate():
        if thread.name.startswith("AnyIO worker thread"):
            thread.join(10)
            assert not thread.is_alive()


def kept_by(watch: SessionWatch) -> dict[str, int]:
    """What a watch, and the pools that it saw, still have of sessions and connections."""
    stores = {
        "owners": watch._ledger._live,
        "unsettled sessions": watch._ledger._unsettled,
        "unsettled holds": watch._ledger._unsettled_holds,
        "sessions of the process": watch.process_owner.sessions,
        "holds of the process": watch.process_owner.holds,
        "suspects": watch._suspects._suspects,
        "collected": watch._collected,
        "returned": watch._returned,
        "tasks": watch._child_tasks._awaited,
    }
    kept = {name: len(store) for name, store in stores.items() if store}
    lent = sum(len(pool.holds) for pool in pool_records())
    return {**kept, "pools": lent} if lent else kept


@pytest.fixture
def unharmed(truth: Truth) -> Callable[..., dict[str, Any]]:
    """Judge a watch after a fault, when all sessions are closed or let go; returns the totals.

    `opened` is None where the watch did not run all the time.
    """

    def judge(
        watch: SessionWatch, *engines: Engine, opened: int | None = -1, errors: int = 0
    ) -> dict[str, Any]:
        let_workers_end()
        gc.collect()
        snapshot = watch.snapshot()
        totals = snapshot.to_dict()["totals"]
        assert snapshot.internal_errors["count"] == errors, snapshot.internal_errors
        assert snapshot.open_sessions == []
        assert totals["opened"] == totals["closed"] + totals["collected"], totals
        if opened is not None:
            assert totals["opened"] == (truth.opened if opened == -1 else opened)
            assert totals["checkouts"] == totals["checkins"]
        assert truth.alive == 0
        assert [engine.pool.checkedout() for engine in engines] == [0] * len(engines)
        assert kept_by(watch) == {}
        return totals

    return judge


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in an interpreter of its own, with warnings as errors; returns how it ended.

    What such programs leave open on purpose, sqlite3 warns of from Python 3.13 on.
    """
    warnings = ("-W", "error", "-W", "ignore:unclosed database:ResourceWarning")

    def run(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "program.py"
        path.write_text(text)
        return subprocess.run(
            [sys.executable, *warnings, str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={"PYTHONPATH": PROJECT, "PATH": "/usr/bin:/bin"},
        )

    return run


@pytest.fixture
def side_by_side() -> Iterator[Callable[..., None]]:
    """Run functions in a thread each, all at once, and raise what any of them raised."""

    def run(*functions: Callable[[], Any], seconds: float = 60) -> None:
        errors: list[BaseException] = []

        def guard(function: Callable[[], Any]) -> None:
            try:
                function()
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

        threads = [
            threading.Thread(target=guard, args=(function,), daemon=True) for function in functions
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds)
            assert not thread.is_alive()
        if errors:
            raise errors[0]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    yield run
    sys.setswitchinterval(interval)
