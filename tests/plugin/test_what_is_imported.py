"""A run takes only what it needs, and what comes later is watched all the same."""

from __future__ import annotations

import pytest

WITHOUT_FASTAPI = """
import sys
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine("sqlite://")


@pytest.mark.parametrize("number", range(3))
def test_select(number):
    with Session(engine) as session:
        session.execute(text("SELECT 1"))


def test_what_was_imported():
    ours = [name for name in sys.modules if name.startswith("sessionwatch.rules.")]
    assert ours == ["sessionwatch.rules.words"]
    for name in ("records.incident", "snapshot", "open_sessions", "outlets.log", "outlets.plain"):
        assert f"sessionwatch.{name}" not in sys.modules, name
    unneeded = ("starlette", "fastapi", "anyio", "click", "rich", "httpx", "tomllib")
    for name in (*unneeded, "sqlalchemy.ext.asyncio"):
        assert name not in sys.modules, name
"""


def test_neither_rules_nor_starlette_where_nothing_asks_for_them(pytester):
    pytester.makepyfile(test_many=WITHOUT_FASTAPI)
    unwanted = ("xdist", "schemathesis", "anyio", "playwright", "hypothesispytest")
    options = [each for name in unwanted for each in ("-p", f"no:{name}")]
    result = pytester.runpytest_subprocess(*options, "--sessionwatch")
    result.assert_outcomes(passed=4)


FINDERS = """
import sys
import pytest

before = list(sys.meta_path)
status = pytest.main(["-q", "--sessionwatch"])
print("status", int(status), "as before", sys.meta_path == before)
"""


@pytest.mark.parametrize("put_back", ["pass", "sys.meta_path[:] = before"])
def test_import_finder_goes_with_the_run(pytester, put_back):
    """Also where a test puts back what it knows, without ours."""
    pytester.makepyfile(
        test_finders="import sys\nfrom __main__ import before\n"
        f"def test_import():\n    assert sys.meta_path != before\n    {put_back}\n"
    )
    result = pytester.runpython(pytester.makepyfile(program=FINDERS))
    assert result.outlines[-1] == "status 0 as before True", result.errlines


LATE = """
import sys
import pytest

def client():
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient
    from shop import app
    return TestClient(app)

def test_imports_and_asks():
    assert "starlette" not in sys.modules
    assert client().post("/half/lamp").status_code == 500

def test_asks_again():
    assert client().post("/half/lamp").status_code == 500
"""


def test_an_application_that_a_test_imports_is_watched_from_its_first_request(shop, pytester):
    pytester.makepyfile(test_late=LATE)
    outcome = shop(None, apart=True)
    assert outcome.leaking == [
        "test_late.py::test_asks_again",
        "test_late.py::test_imports_and_asks",
    ]
    assert outcome.text.count("SW202 partial commit: POST /half/{name}") == 2


LATE_ASYNCIO = """
import sys
import pytest

class OutOfStock(Exception):
    pass

def test_work_given_up_for_an_error():
    assert "sqlalchemy.ext.asyncio" not in sys.modules
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient
    from fastapi import FastAPI
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    app = FastAPI()
    engine = create_async_engine("sqlite+aiosqlite:///shop.db")

    @app.post("/orders")
    async def order(closes_itself: bool):
        session = AsyncSession(engine)
        try:
            if closes_itself:
                await give_up(session, closes_itself)
            async with session:
                await give_up(session, closes_itself)
        except OutOfStock:
            return False

    async def give_up(session, closes_itself):
        try:
            await session.execute(text("CREATE TABLE IF NOT EXISTS item (name TEXT)"))
            await session.execute(text("INSERT INTO item VALUES ('lamp')"))
            raise OutOfStock
        finally:
            if closes_itself:
                await session.close()

    client = TestClient(app)
    for closes_itself in (True, False):
        answer = client.post("/orders", params={"closes_itself": closes_itself})
        assert answer.json() is False
"""


def test_asyncio_that_a_test_imports_is_watched_as_if_it_had_been_there(shop, pytester):
    pytest.importorskip("aiosqlite")
    pytester.makepyfile(test_late_asyncio=LATE_ASYNCIO)
    outcome = shop(None, apart=True)
    assert outcome.counts == {"passed": 1}


def test_verdicts_are_no_properties_of_junit_xml(shop, pytester):
    outcome = shop("def test_leak():\n    open_and_keep()\n", "--junit-xml=results.xml")
    assert outcome.leaking == ["test_shop.py::test_leak"]
    written = (pytester.path / "results.xml").read_text()
    assert "SW101 session leak" in written
    assert "<propert" not in written
