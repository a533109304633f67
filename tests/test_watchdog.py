"""The thread that looks at the connections that are out."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sessionwatch import SessionWatch, Settings
from sessionwatch.watchdog import Watchdog

NAME = "sessionwatch-watchdog"
_COUNTS_LATE = (3, 13) <= sys.version_info[:2] <= (3, 14)
_WARNS_LATE = ("-W", "ignore:This process:DeprecationWarning") if _COUNTS_LATE else ()
"""These count the threads when those that were paused run again (python/cpython#137109)."""


def _watchdogs():
    return [thread for thread in threading.enumerate() if thread.name == NAME]


@pytest.fixture
def looked():
    return threading.Event()


def test_it_looks_until_it_is_stopped(looked):
    watchdog = Watchdog(looked.set, 0.01)
    watchdog.start()
    assert looked.wait(10)
    watchdog.stop()
    assert _watchdogs() == []
    looked.clear()
    assert not looked.wait(0.05)


def test_it_may_be_started_again(looked):
    watchdog = Watchdog(looked.set, 0.01)
    for _ in range(2):
        looked.clear()
        watchdog.start()
        assert looked.wait(10)
        watchdog.stop()
    assert _watchdogs() == []


def test_it_lives_as_long_as_the_watch():
    watch = SessionWatch(Settings(idle_hold_seconds=1000))
    assert _watchdogs() == []
    with watch:
        with watch:
            assert len(_watchdogs()) == 1
        assert len(_watchdogs()) == 1
    assert _watchdogs() == []


def test_there_is_none_without_a_threshold():
    with SessionWatch(Settings(idle_hold_seconds=None, stream_hold_seconds=None)):
        assert _watchdogs() == []


def test_it_reports_by_itself(engine, read):
    with (
        SessionWatch(Settings(idle_hold_seconds=0.01)) as watch,
        watch.owner("job"),
        Session(engine) as session,
    ):
        session.execute(select(1))
        seen = read(watch)
        for _ in range(1000):
            if seen.codes:
                break
            threading.Event().wait(0.01)
        seen.only_finding("SW102")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_one_of_its_own():
    """As under gunicorn's preload: the watch starts in the master and works in the worker.

    Python 3.12 and later warn where a thread runs beside the fork; the one registered first comes
    last before it, and sees none.
    """
    program = f"""
import os, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
at_fork = []
os.register_at_fork(before=lambda: at_fork.append(threading.active_count()))
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool
from sessionwatch import SessionWatch, Settings

watch = SessionWatch(Settings(idle_hold_seconds=0.05, log_findings=False)).start()
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    names = [thread.name for thread in threading.enumerate()]
    print(os.waitstatus_to_exitcode(status), names.count("{NAME}"), at_fork)
    watch.stop()
    sys.exit()
engine = create_engine("sqlite://", poolclass=QueuePool)
session = Session(engine)
session.execute(select(1))
deadline = time.monotonic() + 10
while not watch.snapshot().findings and time.monotonic() < deadline:
    time.sleep(0.01)
codes = [finding["code"] for finding in watch.snapshot().findings]
session.close()
watch.stop()
alive = [thread.name for thread in threading.enumerate()].count("{NAME}")
os._exit(0 if codes == ["SW102"] and not alive else 1)
"""
    done = subprocess.run(
        [sys.executable, *_WARNS_LATE, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0 1 [1]\n", "")


def test_forks_while_it_looks_leave_no_lock_behind(engine):
    """Each child can take the ledger's lock, as no look is under way when it is made."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    settings = Settings(idle_hold_seconds=0.001, log_findings=False)
    with SessionWatch(settings) as watch, watch.owner("job"), Session(engine) as session:
        session.execute(select(1))
        for _ in range(20):
            child = os.fork()
            if not child:
                watch.snapshot()
                os._exit(0)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
