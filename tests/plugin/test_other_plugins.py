"""Beside the plugins that suites like this use."""

from __future__ import annotations

import pytest

LEAKS = """
def test_fine():
    with SessionLocal() as session:
        session.execute(ONE)

def test_leak():
    open_and_keep()

def test_fine_too():
    gc.collect()

@pytest.fixture(scope="module")
def forgotten():
    open_and_keep()

def test_with_a_fixture(forgotten):
    pass
"""


def test_xdist(shop):
    pytest.importorskip("xdist")
    outcome = shop(LEAKS, "-n", "2", "--sessionwatch-report=github", plugins={"xdist"})
    assert (outcome.status, outcome.leaking) == (1, ["test_shop.py::test_leak"])
    assert outcome.counts == {"passed": 4, "error": 1}
    assert "fixture forgotten (module)" in outcome
    assert "sessions: 3 opened, 1 closed" in outcome
    assert "connections: 5 out, 3 back" in outcome
    assert outcome.text.count("::error title=SW101") == 2


def test_xdist_with_a_leaking_fixture_alone(shop):
    pytest.importorskip("xdist")
    outcome = shop(LEAKS, "-n", "2", "-k", "with_a_fixture", plugins={"xdist"})
    assert (outcome.status, outcome.counts) == (1, {"passed": 1})
    assert "the run fails for what belongs to no single test" in outcome


def test_xdist_with_a_baseline(shop):
    pytest.importorskip("xdist")
    known = "--sessionwatch-baseline=known.json"
    shop(LEAKS, known, "--sessionwatch-write-baseline", "-n", "2", plugins={"xdist"})
    outcome = shop(LEAKS, known, "-n", "2", plugins={"xdist"})
    assert (outcome.status, outcome.counts) == (0, {"passed": 4})
    assert "tolerated by known.json: 2" in outcome


FORKING = """
import json, os
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    reading, writing = os.pipe()
    child = os.fork()
    to_plain = item.config.hook.pytest_report_to_serializable
    if not child:
        reports = runtestprotocol(item, log=False)
        plain = [to_plain(config=item.config, report=each) for each in reports]
        os.write(writing, json.dumps(plain, default=str).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        plain = json.loads(stream.read())
    os.waitpid(child, 0)
    from_plain = item.config.hook.pytest_report_from_serializable
    for each in plain:
        item.ihook.pytest_runtest_logreport(report=from_plain(config=item.config, data=each))
    return True
"""


def test_forked(shop, pytester):
    """Each test in a child of its own, whose reports come back as text."""
    pytester.makeconftest(FORKING)
    outcome = shop(LEAKS, plugins={"forked"})
    assert (outcome.status, outcome.leaking) == (1, ["test_shop.py::test_leak"])
    assert "SW101 session-leak (error) at shop.py:" in outcome
    assert "sessions: 2 opened, 1 closed" in outcome


LOOKING = """
def pytest_unconfigure(config):
    for name, _ in config.pluginmanager.list_name_plugin():
        if "Reports" in type(config.pluginmanager.get_plugin(name)).__name__:
            print("looks into reports")
"""


@pytest.mark.parametrize(
    ("conftest", "options", "looks"),
    [("", (), False), (FORKING, (), True), ("", ("-n", "2"), True)],
    ids=["plain", "forked", "xdist"],
)
def test_other_plugins_see_no_verdict(shop, pytester, conftest, options, looks):
    """Reports are looked into where another process sends them, and only there: it takes time."""
    if options:
        pytest.importorskip("xdist")
    pytester.makeconftest(conftest + LOOKING)
    outcome = shop(LEAKS, "--junitxml=all.xml", *options, plugins={"xdist"})
    assert outcome.leaking == ["test_shop.py::test_leak"]
    assert "SW101" in (pytester.path / "all.xml").read_text()
    assert '<property name="sessionwatch"' not in (pytester.path / "all.xml").read_text()
    assert ("looks into reports" in outcome) is looks


def test_reruns(shop):
    pytest.importorskip("pytest_rerunfailures")
    outcome = shop(
        LEAKS
        + """
attempts = []

def test_fails_once():
    attempts.append(1)
    assert len(attempts) > 1
""",
        "--reruns=1",
        plugins={"rerunfailures"},
    )
    assert outcome.leaking == ["test_shop.py::test_leak"]
    assert outcome.counts["passed"] >= 5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_order(shop, seed):
    pytest.importorskip("pytest_randomly")
    outcome = shop(LEAKS, "--randomly-seed", str(seed), plugins={"randomly"})
    assert outcome.leaking == ["test_shop.py::test_leak"]


ASYNC = """
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

def make_async_engine():
    return create_async_engine("sqlite+aiosqlite:///shop.db")

@pytest.{fixture}
async def session():
    engine = make_async_engine()
    async with async_sessionmaker(engine)() as session:
        yield session
    await engine.dispose()

@pytest.{fixture}
async def forgetful_engine():
    engine = make_async_engine()
    yield engine
    for session in kept:
        await session.close()
    await engine.dispose()

{mark}
async def test_fine(session):
    await session.execute(ONE)

{mark}
async def test_leak(session):
    leaked = AsyncSession(session.bind)
    await leaked.execute(ONE)
    kept.append(leaked)

{mark}
async def test_fine_too(session):
    await session.execute(ONE)

{mark}
async def test_closed_by_its_fixture(forgetful_engine):
    session = AsyncSession(forgetful_engine)
    await session.execute(ONE)
    kept[:] = [session]
"""


def test_pytest_asyncio(shop):
    asyncio_plugin = pytest.importorskip("pytest_asyncio")
    pytest.importorskip("aiosqlite")
    source = ASYNC.replace("pytest.{fixture}", "asyncio_plugin.fixture")
    outcome = shop(
        "import pytest_asyncio as asyncio_plugin\n"
        + source.replace("{mark}", "@pytest.mark.asyncio"),
        "-W",
        "ignore",
        plugins={"asyncio"},
    )
    assert asyncio_plugin
    assert (outcome.leaking, outcome.counts["passed"]) == (["test_shop.py::test_leak"], 4)


def test_anyio(shop):
    pytest.importorskip("aiosqlite")
    source = ASYNC.replace("{fixture}", "fixture").replace("{mark}", "@pytest.mark.anyio")
    backend = "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    outcome = shop(source + backend, "-W", "ignore", plugins={"anyio"})
    assert (outcome.leaking, outcome.counts["passed"]) == (["test_shop.py::test_leak"], 4)


SKIPPING = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if "slow" in item.name:
        pytest.skip("slow")
"""


def test_hook_that_skips_before_ours_begins(shop, pytester):
    folder = pytester.mkdir("nested")
    (folder / "conftest.py").write_text(SKIPPING)
    (folder / "test_nested.py").write_text(
        "from shop import *\ndef test_slow(): open_and_keep()\ndef test_leak(): open_and_keep()\n"
    )
    outcome = shop(None, "nested")
    assert outcome.counts == {"passed": 1, "skipped": 1, "error": 1}
    assert outcome.leaking == ["nested/test_nested.py::test_leak"]
