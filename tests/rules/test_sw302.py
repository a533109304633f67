"""SW302 background-before-commit."""

from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends
from sqlalchemy import select

ONE = select(1)


@pytest.fixture
def ask(app, call, make_session, models):
    """Send a request that writes, and reads in the background with a session of its own."""

    def ask(dependency, *, commit=False, write=True, **options):
        def work():
            with make_session() as own:
                own.execute(ONE)

        @app.get("/items")
        def add(tasks: BackgroundTasks, db: Annotated[Any, Depends(dependency, **options)]):
            if write:
                db.add(models.Item(name="a"))
                db.flush()
            if commit:
                db.commit()
            tasks.add_task(work)

        assert call(app, "/items").status_code == 200

    return ask


def _codes(found):
    return sorted(each["code"] for each in found.findings if each["severity"] != "info")


def test_commit_in_the_dependency(found, ask, dependencies, exits_after_response):
    ask(dependencies.full)
    if not exits_after_response:
        assert _codes(found) == []
        return
    assert _codes(found) == ["SW301", "SW302"]
    finding = next(each for each in found.findings if each["code"] == "SW302")
    assert (finding["severity"], finding["evidence"]) == ("error", "proof")
    assert "after its response, GET /items opened a session at" in finding["message"]
    assert "while 1 write of the session opened at" in finding["message"]
    assert "in full was not committed yet" in finding["message"]
    assert finding["opened_at"]["function"] == "work"


def test_twin_commits_in_the_handler(found, ask, dependencies):
    ask(dependencies.full, commit=True)
    assert _codes(found) == []


def test_twin_with_function_scope(found, ask, dependencies, function_scope):
    ask(dependencies.full, **function_scope)
    assert _codes(found) == []


def test_request_that_only_reads(found, ask, dependencies):
    ask(dependencies.full, write=False)
    assert _codes(found) == []
