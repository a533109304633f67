"""SW503 engine-churn."""

from __future__ import annotations

import gc
import weakref

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

ONE = select(1)


@pytest.fixture
def url(database_path):
    return f"sqlite:///{database_path}"


@pytest.fixture
def per_request(app, url):
    """A route that makes an engine for each request."""

    @app.get("/items")
    def read_items():
        engine = create_engine(url)
        with Session(engine) as session:
            session.execute(ONE)
        engine.dispose()
        return {}


def test_engine_for_each_request(found, app, call, per_request):
    assert call(app, "/items").status_code == 200
    assert found.codes == []
    assert call(app, "/items").status_code == 200
    finding = found.only_finding("SW503")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "engine-churn",
        "warning",
        "suspect",
    )
    assert finding["opened_at"]["function"] == "read_items"
    assert finding["message"].count("tests/rules/test_sw503.py") == 2
    assert "in read_items" in finding["details"]["first_created"]
    assert finding["owner"]["route"] == "GET /items"


def test_every_further_engine_counts(found, app, call, per_request):
    for _ in range(4):
        call(app, "/items")
    assert found.codes == ["SW503"] * 3
    assert len(found.findings) == 1


def test_twin_makes_one_at_start_up(found, app, call, url):
    engine = create_engine(url)

    @app.get("/items")
    def read_items():
        with Session(engine) as session:
            session.execute(ONE)
        return {}

    for _ in range(3):
        call(app, "/items")
    engine.dispose()
    assert found.codes == []


def test_twin_makes_one_when_it_is_needed(found, app, call, url):
    engines = []

    @app.get("/items")
    def read_items():
        if not engines:
            engines.append(create_engine(url))
        with Session(engines[0]) as session:
            session.execute(ONE)
        return {}

    for _ in range(3):
        call(app, "/items")
    engines[0].dispose()
    assert found.codes == []


def test_both_lines_are_named(found, app, call, url):
    @app.get("/one")
    def one():
        create_engine(url).dispose()

    @app.get("/other")
    def other():
        create_engine(url).dispose()

    call(app, "/one")
    call(app, "/other")
    finding = found.only_finding("SW503")
    assert finding["opened_at"]["function"] == "other"
    assert "in one" in finding["details"]["first_created"]


def test_async_engine(found, app, call, url):
    pytest.importorskip("aiosqlite")
    from sqlalchemy.ext.asyncio import create_async_engine

    @app.get("/items")
    async def read_items():
        create_async_engine(url.replace("sqlite", "sqlite+aiosqlite"))

    for _ in range(2):
        assert call(app, "/items").status_code == 200
    assert found.codes == ["SW503"]


def test_without_stacks(make_watch, read, url, call):
    from fastapi import FastAPI

    from sessionwatch import SessionWatchMiddleware, Settings

    watch = make_watch(Settings(stacks="off"))
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)

    @app.get("/items")
    def read_items():
        create_engine(url).dispose()

    for _ in range(2):
        call(app, "/items")
    finding = read(watch).only_finding("SW503")
    assert finding["details"]["first_created"] == ""


def test_options_are_not_shown(found, app, call, url):
    @app.get("/items")
    def read_items():
        create_engine(f"{url}?timeout=7").dispose()

    for _ in range(2):
        assert call(app, "/items").status_code == 200
    finding = found.only_finding("SW503")
    assert "timeout" not in str(finding)
    assert finding["details"]["url"] == url


def test_record_is_bounded(found, app, call, web_watch, tmp_path):
    @app.get("/items/{number}")
    def read_items(number: int):
        create_engine(f"sqlite:///{tmp_path}/{number}.db").dispose()

    for number in range(80):
        assert call(app, f"/items/{number}").status_code == 200
    assert found.codes == []
    assert len(web_watch.engines_made) == 64


def test_engine_is_not_kept_alive(found, app, call, url):
    references = []

    @app.get("/items")
    def read_items():
        engine = create_engine(url)
        references.append(weakref.ref(engine))
        engine.dispose()

    for _ in range(2):
        call(app, "/items")
    gc.collect()
    assert found.codes == ["SW503"]
    assert [reference() for reference in references] == [None, None]


def test_every_argument_of_create_engine_is_still_known(watch, url):
    """SQLAlchemy looks at the names that the constructor of `Engine` takes."""
    engine = create_engine(url, execution_options={"mark": 1}, logging_name="named", echo=False)
    assert engine.get_execution_options()["mark"] == 1
    assert engine.logging_name == "named"
    engine.dispose()


class TestSilent:
    def test_engines_of_a_job(self, watch, seen, url):
        with watch.owner("import"):
            for _ in range(3):
                create_engine(url).dispose()
        assert seen.codes == []

    def test_engines_of_a_test(self, watch, seen, url):
        with watch.owner("test_items", kind="test"):
            for _ in range(3):
                create_engine(url).dispose()
        assert seen.codes == []

    def test_engines_of_the_process(self, watch, seen, url):
        for _ in range(3):
            create_engine(url).dispose()
        assert seen.codes == []

    def test_start_up_and_one_request(self, found, app, call, url):
        create_engine(url).dispose()

        @app.get("/items")
        def read_items():
            create_engine(url).dispose()

        call(app, "/items")
        assert found.codes == []

    def test_one_for_each_tenant(self, found, app, call, tmp_path):
        @app.get("/{tenant}")
        def read_items(tenant: str):
            create_engine(f"sqlite:///{tmp_path}/{tenant}.db").dispose()

        for tenant in ("anna", "bert", "carl"):
            assert call(app, f"/{tenant}").status_code == 200
        assert found.codes == []

    def test_options_of_an_engine(self, found, app, call, engine):
        @app.get("/items")
        def read_items():
            engine.execution_options(isolation_level="AUTOCOMMIT")
            engine.execution_options(isolation_level="AUTOCOMMIT")

        for _ in range(2):
            call(app, "/items")
        assert found.codes == []
