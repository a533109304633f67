"""SQLAlchemy's asyncio, patched whenever it is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("greenlet")

WHILE_WATCHED = """
suite = Suite(Settings())
for _ in range(2):
    suite.start()
    session = import_it()
    assert is_patched(session)
    suite.stop()
    assert not is_patched(session)
"""
WHEN_STOPPED = """
suite = Suite(Settings())
for _ in range(2):
    suite.start()
    suite.stop()
assert "sqlalchemy.ext.asyncio" not in sys.modules
session = import_it()
assert not is_patched(session)
with SessionWatch(Settings()):
    assert is_patched(session)
assert not is_patched(session)
"""
AT_THE_START = """
with SessionWatch(Settings()):
    session = sys.modules["sqlalchemy.ext.asyncio.session"]
    assert is_patched(session)
assert not is_patched(session)
"""
BESIDE_A_WATCH_THAT_GOES_ON = """
suite = Suite(Settings())
suite.start()
watch = SessionWatch(Settings()).start()
suite.stop()
session = import_it()
assert is_patched(session)
watch.stop()
assert not is_patched(session)
"""
BEGIN = """
import sys
from sessionwatch import SessionWatch, Settings
from sessionwatch.testing.suite import Suite


def import_it():
    import sqlalchemy.ext.asyncio

    return sys.modules["sqlalchemy.ext.asyncio.session"]


def is_patched(session):
    patched = {hasattr(each, "__wrapped__") for each in functions_of(session)}
    assert len(patched) == 1
    return patched.pop()


def functions_of(session):
    return session.greenlet_spawn, session.AsyncSession.__aexit__


finders = list(sys.meta_path)
"""
END = """
assert sys.meta_path == finders
"""


@pytest.mark.parametrize(
    "body",
    [WHILE_WATCHED, WHEN_STOPPED, AT_THE_START, BESIDE_A_WATCH_THAT_GOES_ON],
    ids=["while watched", "when stopped", "at the start", "beside a watch that goes on"],
)
def test_patched_from_the_import_on_until_the_last_stop(body):
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + body + END],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
