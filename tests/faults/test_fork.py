"""A process that forks while its threads are at work, as under a server that preloads.

No thread is in the database's own library at that moment, whose locks nobody can save; but one
holds every lock of ours.
"""

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

PROGRAM = """
import contextlib, gc, os, sys, threading, warnings
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from sessionwatch import SessionWatch, Settings
from sessionwatch.instruments import attribution, switch
from sessionwatch.instruments.holds import pool_records

warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # what this is about
THREADS, FORKS, ROUNDS = 8, 6, 5
ONE = select(1)
engine = create_engine(f"sqlite:///{sys.argv[1]}", pool_size=THREADS + 2, pool_timeout=60)
watch = SessionWatch(Settings(log_findings=False, idle_hold_seconds=0.002)).start()
opened = []

def use(label):
    with watch.owner(label), Session(engine) as session:
        session.execute(ONE)
    opened.append(label)

def work():
    for _ in range(FORKS):
        use("thread")
        before_fork.wait()
        if threading.current_thread() is threads[0]:
            with contextlib.ExitStack() as stack:
                for lock in our_locks():
                    stack.enter_context(lock)
                locked.wait()
                after_fork.wait()
        else:
            after_fork.wait()
    use("thread")

def our_locks():
    yield from (switch._lock, attribution._lock, watch._starts_lock, watch._ledger._lock)
    yield from (pool._lock for pool in pool_records())

before_fork, after_fork = threading.Barrier(THREADS + 1), threading.Barrier(THREADS + 1)
locked = threading.Barrier(2)

def in_child():
    engine.dispose(close=False)
    before = watch.snapshot().totals.counts
    for _ in range(ROUNDS):
        use("child")
    leaked = Session(engine)
    leaked.execute(ONE)
    del leaked
    gc.collect()
    snapshot = watch.snapshot()
    now, child = snapshot.totals.counts, snapshot.routes["child"].counts
    watch.stop()
    ok = (
        (child.opened, child.closed, child.checkins) == (ROUNDS, ROUNDS, ROUNDS)
        and now.opened - before.opened == ROUNDS + 1
        and now.closed - before.closed == ROUNDS
        and now.collected - before.collected == 1
        and snapshot.internal_errors["count"] == 0
        and not [each for each in threading.enumerate() if each.name == "sessionwatch-watchdog"]
    )
    if not ok:
        print(before, now, child, snapshot.internal_errors, flush=True)
    os._exit(0 if ok else 1)

threads = [threading.Thread(target=work) for _ in range(THREADS)]
for thread in threads:
    thread.start()
statuses = []
for _ in range(FORKS):
    before_fork.wait()
    locked.wait()
    child = os.fork()
    if not child:
        in_child()
    after_fork.wait()
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for thread in threads:
    thread.join()
counts = watch.snapshot().totals.counts
watch.stop()
print(statuses, counts.opened == counts.closed == len(opened) == counts.checkins,
      watch.snapshot().internal_errors["count"])
"""


def test_children_of_a_busy_process(run_program, database_path):
    done = run_program(PROGRAM, str(database_path))
    assert (done.stdout, done.stderr) == ("[0, 0, 0, 0, 0, 0] True 0\n", "")
    assert done.returncode == 0
