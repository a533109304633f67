"""Two suites as people write them: nothing is found, and one planted leak fails its one test."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

SUITES = Path(__file__).parent / "suites"
PLANTED = {
    "sync_shop": """

kept = []


def test_planted():
    session = SessionLocal()
    session.execute(select(1))
    kept.append(session)
""",
    "async_shop": """

kept = []


async def test_planted(make_session):
    session = make_session()
    await session.execute(select(1))
    kept.append(session)
""",
}
ORDERS = {
    "as_written": ("-p", "no:randomly", "-p", "no:xdist"),
    "two_workers": ("-p", "no:randomly", "-n", "2"),
    "shuffled": ("-p", "no:xdist", "--randomly-seed=1"),
}
_COMMON = ("-p", "no:asyncio", "-p", "no:hypothesispytest", "-p", "no:schemathesis")


@pytest.fixture(params=sorted(PLANTED))
def suite(request, pytester):
    """The name of a suite that has been copied to where pytest will run."""
    if request.param == "async_shop":
        pytest.importorskip("aiosqlite")
    shutil.copytree(SUITES / request.param, pytester.path, dirs_exist_ok=True)
    (pytester.path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    return request.param


@pytest.fixture(params=sorted(ORDERS))
def run(request, pytester):
    """Run the suite in one of several orders; returns the exit status and what was printed."""
    if "shuffled" in request.param:
        pytest.importorskip("pytest_randomly")

    def run():
        options = (*_COMMON, *ORDERS[request.param], "--sessionwatch")
        result = pytester.run(sys.executable, "-m", "pytest", *options)
        return result.ret, "\n".join(result.outlines)

    return run


def test_nothing_is_found_in_a_correct_suite(suite, run):
    status, printed = run()
    assert status == 0, printed
    assert not re.search(r"SW\d{3}", printed), printed
    assert re.search(r"sessions: \d+ opened", printed)


def test_one_planted_leak_fails_exactly_its_test(suite, run, pytester):
    with (pytester.path / "test_shop.py").open("a") as file:
        file.write(PLANTED[suite])
    status, printed = run()
    assert status == 1
    assert set(re.findall(r"^ERROR (\S+)", printed, re.M)) == {"test_shop.py::test_planted"}
    assert not re.search(r"^FAILED", printed, re.M)
