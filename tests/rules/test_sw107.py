"""SW107 unclosed-session."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends
from sqlalchemy import select
from sqlalchemy.orm import scoped_session

ONE = select(1)


def _unused(session):
    pass


def _committed(session):
    session.execute(ONE)
    session.commit()


def _rolled_back(session):
    session.execute(ONE)
    session.rollback()


@pytest.mark.parametrize("use", [_unused, _committed, _rolled_back])
def test_session_that_holds_nothing_and_is_not_closed(watch, seen, make_session, use):
    with watch.owner("job"):
        session = make_session()
        use(session)
    session.close()
    finding = seen.only_finding("SW107")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "unclosed-session",
        "info",
        "proof",
    )
    assert finding["message"].endswith("and never closed it; it holds no connection")


@pytest.mark.parametrize("use", [_unused, _committed, _rolled_back])
def test_twin_closes_it(watch, seen, make_session, use):
    with watch.owner("job"), make_session() as session:
        use(session)
    assert seen.codes == []


def test_dependency_that_returns_a_session_that_the_handler_commits(
    found, app, call, dependencies, models
):
    kept = []

    @app.post("/add")
    def add_item(db: Annotated[Any, Depends(dependencies.returned)]):
        kept.append(db)
        db.add(models.Item(name="a"))
        db.commit()
        return {}

    assert call(app, "/add", "POST").status_code == 200
    assert found.only_finding("SW107")["owner"]["route"] == "POST /add"


def test_session_that_was_closed_and_used_again(watch, seen, make_session):
    with watch.owner("job"):
        session = make_session()
        session.close()
        session.execute(ONE)
        session.commit()
    session.close()
    assert seen.codes == ["SW107"]


class TestSilent:
    def test_scoped_session(self, watch, seen, make_session):
        registry = scoped_session(make_session)
        with watch.owner("job"):
            registry.execute(ONE)
            registry.commit()
        registry.remove()
        assert seen.codes == []

    def test_scoped_session_with_a_scope_of_its_own(self, watch, seen, make_session):
        registry = scoped_session(make_session, scopefunc=lambda: "request")
        with watch.owner("job"):
            registry.execute(ONE)
            registry.rollback()
        registry.remove()
        assert seen.codes == []

    def test_async_scoped_session(self, watch, seen, run_async):
        from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker

        async def body(engine):
            registry = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
            with watch.owner("job"):
                registry()
            await registry.remove()

        run_async(body)
        assert seen.codes == []

    def test_session_that_holds_a_connection(self, watch, seen, make_session):
        with watch.owner("job"):
            session = make_session()
            session.execute(ONE)
        session.close()
        assert seen.codes == ["SW101"]

    def test_session_of_the_process(self, seen, make_session):
        session = make_session()
        assert seen.codes == []
        session.close()
