"""A server process and the runner's end of it."""

import asyncio
import os

import pytest

from sessionwatch.lab.channel import Worker
from sessionwatch.lab.errors import LabError


def setting(folder):
    return {"url": "sqlite+pysqlite://", "is_async": False, "folder": str(folder), "name": "place"}


def test_a_worker_serves_answers_and_cleans_up(tmp_path):
    async def scene():
        worker = Worker("one")
        try:
            started = await worker.start(setting(tmp_path / "run"))
            with pytest.raises(LabError, match="the lab's server failed: KeyError: 'nobody'"):
                await worker.ask(
                    "open", variant="nobody", is_async=False, pool_size=1, reference=None
                )
            files = list(tmp_path.rglob("template.db"))
        finally:
            cleaned_up = await worker.end()
        return started, files, cleaned_up

    started, files, cleaned_up = asyncio.run(scene())

    assert started["port"] > 0
    assert len(files) == 1
    assert cleaned_up
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_is_told_in_one_line(tmp_path):
    async def scene():
        worker = Worker("one")
        await worker.start(setting(tmp_path))
        os.kill(worker.process_id, 9)
        with pytest.raises(LabError) as caught:
            await worker.ask("settle")
        return str(caught.value), await worker.end()

    message, cleaned_up = asyncio.run(scene())

    assert message == "the server one ended before its answer: it said nothing"
    assert not cleaned_up


def test_a_worker_that_never_started_has_nothing_to_end():
    assert asyncio.run(Worker("one").end())
