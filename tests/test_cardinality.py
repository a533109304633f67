"""Names without number leave nothing behind: the same number again does not need more memory."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
import tracemalloc
from pathlib import Path

import pytest

import sessionwatch
from sessionwatch import Settings
from sessionwatch.records import code_origin

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "cardinality.py"
OURS = tracemalloc.Filter(True, str(Path(sessionwatch.__file__).parent / "*"))
SMALL = Settings(log_findings=False, max_open_sessions=100, max_stacks=100, max_owner_sessions=100)
TURNS = 500


@pytest.fixture(scope="module")
def cardinality():
    """The benchmark that does a million of each."""
    spec = importlib.util.spec_from_file_location("cardinality", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _few_files_remembered(monkeypatch):
    """Have the cache of whose code a file is full soon."""
    monkeypatch.setattr(code_origin, "_FILES_REMEMBERED", 100)


def _bytes(*filters):
    gc.collect()
    taken = tracemalloc.take_snapshot().filter_traces(filters)
    return sum(statistic.size for statistic in taken.statistics("filename"))


@pytest.fixture
def grown(cardinality):
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
    assert grown(kind, watch, TURNS) <= 20_000
    assert len(read(watch).snapshot.routes) <= 501


def test_memory_is_flat_over_ten_thousand_paths_and_sql_texts(make_watch, read, grown):
    watch = make_watch(SMALL)
    assert grown("paths", watch, 5000) <= 20_000
    assert list(read(watch).snapshot.routes) == ["GET /paths/{path}"]
    assert read(watch).counts("opened", "closed", "statements") == {
        "opened": 10_000,
        "closed": 10_000,
        "statements": 10_000,
    }


@pytest.mark.parametrize("kind", ["paths", "jobs", "errors"])
def test_nothing_that_others_made_is_kept_either(make_watch, grown, kind):
    """Such as the text of a statement, the name of a path, the class of an error."""
    everything = tracemalloc.Filter(False, "/no/such/file")
    assert grown(kind, make_watch(SMALL), 1000, everything) <= 20_000


def test_session_that_outlives_its_request_takes_little_that_is_ours(make_watch, grown):
    """Its record goes with it; the one stack that all of them have is kept once."""
    assert grown("open", make_watch(SMALL), TURNS) <= TURNS * 1500


def test_every_kind_is_tried(cardinality):
    assert set(cardinality.KINDS) == {*KINDS, "paths", "open"}
