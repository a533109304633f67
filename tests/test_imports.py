"""What `import sessionwatch` costs, and what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sessionwatch


def test_import_takes_only_what_a_production_application_needs():
    program = (
        "import sys, sessionwatch; "
        "print([name for name in ('click', 'rich', 'uvicorn', 'httpx') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_import_does_without_greenlet():
    """SQLAlchemy 2.1 installs no greenlet, and its asyncio cannot be imported then."""
    program = "import sys; sys.modules['greenlet'] = None; import sessionwatch; print('fine')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "fine"


def test_import_alone_imports_no_module_of_the_watch():
    program = (
        "import sys, sessionwatch; print([m for m in sys.modules if m[:13] == 'sessionwatch.'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


WATCHED = """
import gc, logging, sys
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool
from sessionwatch import SessionWatch, Settings

engine = create_engine("sqlite://", poolclass=QueuePool)
ticks = iter(range(0, 10**15, 10**9))
watch = SessionWatch(
    Settings(ignore=("SW502",), idle_hold_seconds=5, timelines="all"),
    clock=ticks.__next__,
).start()
logging.disable()
before = set(sys.modules)
kept = []
for keeps in (True, False):
    with watch.owner("job"):
        session = Session(engine)
        session.execute(text("SELECT 1"))
        watch.inspect_connections()
        if keeps:
            kept.append(session)
        del session
        gc.collect()
codes = sorted({entry["code"] for entry in watch.snapshot().to_dict()["findings"]})
assert watch.timelines() and list(watch.snapshot().open_sessions)
watch.stop()
print(codes, sorted(name for name in set(sys.modules) - before if "sessionwatch" in name))
"""


def test_a_watch_that_runs_imports_nothing_more():
    """Neither in a request nor when the interpreter ends, where it may wait for ever."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("['SW101', 'SW102', 'SW103'] []\n", "")


def test_names_that_are_not_there_and_those_that_are():
    with pytest.raises(AttributeError, match="module 'sessionwatch' has no attribute 'watcher'"):
        sessionwatch.watcher  # noqa: B018
    assert set(sessionwatch.__all__) <= set(dir(sessionwatch))


def test_public_names_are_sorted_there_and_no_more_than_a_dozen():
    assert sessionwatch.__all__ == sorted(sessionwatch.__all__)
    assert len(sessionwatch.__all__) <= 12
    for name in sessionwatch.__all__:
        assert getattr(sessionwatch, name).__doc__
