"""Names without number leave nothing behind: the same number again does not need more memory."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from pathlib import Path

import pytest

import sessionwatch
from benchmarks import cardinality
from sessionwatch import Settings
from sessionwatch.records import code_origin

OURS = tracemalloc.Filter(True, str(Path(sessionwatch.__file__).parent / "*"))
ROOM = 30
SMALL = Settings(
    log_findings=False,
    max_engine_urls=ROOM,
    max_findings=ROOM,
    max_open_sessions=ROOM,
    max_owner_sessions=ROOM,
    max_routes=ROOM,
    max_stacks=ROOM,
)
TURNS = 5 * ROOM
BYTES_PER_TURN = 30
MANY_TURNS = 5 * cardinality.QUERIES_CACHED


@pytest.fixture(autouse=True)
def _few_files_remembered(monkeypatch):
    """Have the cache of whose code a file is full soon."""
    monkeypatch.setattr(code_origin, "_FILES_REMEMBERED", ROOM)


def _bytes(*filters):
    gc.collect()
    taken = tracemalloc.take_snapshot().filter_traces(filters)
    return sum(statistic.size for statistic in taken.statistics("filename"))


@pytest.fixture
def grown():
    """Tell by how many bytes another so many turns grow, after as many to warm up.

    By default those alone that our files have asked for.
    """

    def grown(kind, watch, turns, *filters):
        async def measure():
            turn = cardinality.turns_of(kind, watch)
            sizes = []
            for begin in (0, turns):
                for number in range(begin, begin + turns):
                    await turn(number)
                sizes.append(_bytes(*filters or (OURS,)))
            return sizes[1] - sizes[0]

        tracemalloc.start(1)
        try:
            return asyncio.run(measure())
        finally:
            tracemalloc.stop()

    return grown


KINDS = ("unmatched", "websockets", "mounts", "jobs", "engines", "code", "errors")


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_flat_whatever_has_a_new_name_each_time(make_watch, read, grown, kind):
    watch = make_watch(SMALL)
    assert grown(kind, watch, TURNS) <= TURNS * BYTES_PER_TURN
    assert len(read(watch).snapshot.routes) <= ROOM + 1


def test_memory_is_flat_over_a_thousand_paths_and_sql_texts(make_watch, read, grown):
    watch = make_watch(SMALL)
    assert grown("paths", watch, MANY_TURNS) <= MANY_TURNS * BYTES_PER_TURN
    assert list(read(watch).snapshot.routes) == ["GET /paths/{path}"]
    assert read(watch).counts("opened", "closed", "statements") == {
        "opened": 2 * MANY_TURNS,
        "closed": 2 * MANY_TURNS,
        "statements": 2 * MANY_TURNS,
    }


@pytest.mark.parametrize("kind", ["paths", "jobs", "errors"])
def test_nothing_that_others_made_is_kept_either(make_watch, grown, kind):
    """Such as the text of a statement, the name of a path, the class of an error."""
    everything = tracemalloc.Filter(False, "/no/such/file")
    assert grown(kind, make_watch(SMALL), MANY_TURNS, everything) <= MANY_TURNS * BYTES_PER_TURN


def test_session_that_outlives_its_request_takes_little_that_is_ours(make_watch, grown):
    """Its record goes with it; the one stack that all of them have is kept once."""
    assert grown("open", make_watch(SMALL), TURNS) <= TURNS * 1500


def test_every_kind_is_tried():
    assert set(cardinality.KINDS) == {*KINDS, "paths", "open"}
