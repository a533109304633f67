"""SW103 gc-reclaimed."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import SAWarning

ONE = select(1)


def _drop(make_session, models=None):
    session = make_session()
    if models is not None:
        session.add(models.Item(name="a"))
        session.flush()
    else:
        session.execute(ONE)
    del session
    gc.collect()


def test_session_that_is_dropped(watch, seen, make_session):
    with watch.owner("job"):
        _drop(make_session)
    finding = seen.only_finding("SW103")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "gc-reclaimed",
        "error",
        "proof",
    )
    assert finding["opened_at"]["function"] == "_drop"
    assert finding["message"].endswith("the garbage collector gave its connection back")


def test_twin_is_closed_and_dropped(watch, seen, make_session):
    with watch.owner("job"):
        with make_session() as session:
            session.execute(ONE)
        del session
        gc.collect()
    assert seen.codes == []


def test_session_of_the_process_that_is_dropped(seen, make_session):
    _drop(make_session)
    assert seen.only_finding("SW103")["owner"]["kind"] == "process"


def test_lost_writes_are_named_with_it(watch, seen, make_session, models, rows):
    with watch.owner("job"):
        _drop(make_session, models)
    finding = seen.only_finding("SW103")
    assert finding["related"] == ["SW203"]
    assert finding["details"]["uncommitted_writes"] == 1
    assert "1 write that nobody had committed went with it" in finding["message"]
    assert rows() == 0


def test_lost_writes_of_a_failed_owner_are_no_sw203(watch, seen, make_session, models):
    with suppress(ValueError), watch.owner("job"):
        _drop(make_session, models)
        raise ValueError("no")
    assert seen.only_finding("SW103")["related"] == []


def test_core_connection_that_is_dropped(watch, seen, engine):
    with watch.owner("job"):
        engine.connect().execute(ONE)
        gc.collect()
    finding = seen.only_finding("SW103")
    assert "checked out a connection" in finding["message"]
    assert finding["opened_at"]["function"] == "test_core_connection_that_is_dropped"


def test_twin_of_a_core_connection(watch, seen, engine):
    with watch.owner("job"):
        connection = engine.connect()
        connection.execute(ONE)
        connection.close()
        del connection
        gc.collect()
    assert seen.codes == []


def test_async_session_that_is_dropped(watch, seen, run_async):
    from sqlalchemy.ext.asyncio import AsyncSession

    async def leak(engine):
        await AsyncSession(engine).execute(ONE)

    async def body(engine):
        with watch.owner("job"), warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            await leak(engine)
            gc.collect()

    run_async(body)
    assert seen.only_finding("SW103")["opened_at"]["function"] == "leak"


class TestSilent:
    def test_session_that_held_no_connection(self, watch, seen, make_session):
        with watch.owner("job"):
            session = make_session()
            session.execute(ONE)
            session.rollback()
            del session
            gc.collect()
        assert "SW103" not in seen.codes

    def test_session_that_was_reported_as_a_leak_before(self, watch, seen, make_session):
        with watch.owner("job"):
            session = make_session()
            session.execute(ONE)
        assert seen.codes == ["SW101"]
        del session
        gc.collect()
        assert seen.codes == ["SW101"]

    @pytest.mark.parametrize("kind", ["session", "core"])
    def test_after_a_cancel(self, watch, seen, engine, make_session, kind):
        """What a cancelled owner leaves behind is SW403's business."""
        with suppress(asyncio.CancelledError), watch.owner("job"):
            if kind == "session":
                _drop(make_session)
            else:
                engine.connect().execute(ONE)
                gc.collect()
            raise asyncio.CancelledError
        assert seen.codes == ["SW403"]

    def test_after_a_cancel_of_a_real_task(self, watch, seen, run_async):
        from sqlalchemy.ext.asyncio import AsyncSession

        async def work(engine, started):
            with watch.owner("job"):
                await AsyncSession(engine).execute(ONE)
                gc.collect()
                started.set()
                await asyncio.Event().wait()

        async def body(engine):
            started = asyncio.Event()
            task = asyncio.create_task(work(engine, started))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            run_async(body)
            gc.collect()
        assert seen.codes == ["SW403"]

    def test_interpreter_shutdown(self, database_path):
        program = f"""
import logging, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
logging.basicConfig(stream=sys.stdout)
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
import sessionwatch
watch = sessionwatch.SessionWatch().start()
engine = create_engine("sqlite:///{database_path}")
session = Session(engine)
session.execute(select(1))
with watch.owner("job"):
    leaked = Session(engine)
    leaked.execute(select(1))
connection = engine.connect()
print("end")
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
        )
        after = done.stdout.partition("end\n")[2]
        assert (after, done.stderr) == ("", "")
        assert "SW101" in done.stdout
