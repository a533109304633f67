"""SW203 lost-writes."""

from contextlib import suppress
from typing import Annotated, Any

import pytest
from fastapi import Depends, HTTPException
from fastapi.responses import JSONResponse
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session


def _add(session, models, name="a"):
    session.add(models.Item(name=name))
    session.flush()


def _flush(session, models):
    _add(session, models)


def _execute_text(session, models):
    session.execute(text("INSERT INTO item (name) VALUES ('a')"))


def _execute_insert(session, models):
    session.execute(insert(models.Item).values(name="a"))


def _execute_returning(session, models):
    session.execute(text("INSERT INTO item (name) VALUES ('a') RETURNING id")).all()


def _release_a_savepoint(session, models):
    with session.begin_nested():
        _add(session, models)


@pytest.mark.parametrize("end", ["close", "reset", "invalidate"])
def test_writes_that_nobody_commits(watch, seen, make_session, models, rows, end):
    with watch.owner("job"):
        session = make_session()
        _add(session, models)
        getattr(session, end)()
    finding = seen.only_finding("SW203")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "lost-writes",
        "error",
        "lost work",
    )
    assert "job reported success and lost 1 write of the session opened at" in finding["message"]
    assert finding["details"] == {"writes": 1}
    assert rows() == 0


@pytest.mark.parametrize(
    "write",
    [_flush, _execute_text, _execute_insert, _execute_returning],
)
def test_writes_of_every_kind(watch, seen, savepoint_engine, models, rows, write):
    with watch.owner("job"), Session(savepoint_engine) as session:
        write(session, models)
    assert seen.codes == ["SW203"]
    assert rows() == 0


@pytest.mark.parametrize(
    "write",
    [_flush, _execute_text, _execute_insert, _execute_returning, _release_a_savepoint],
)
def test_twin_commits(watch, seen, savepoint_engine, models, rows, write):
    with watch.owner("job"), Session(savepoint_engine) as session:
        write(session, models)
        session.commit()
    assert seen.codes == []
    assert rows() == 1


def test_failed_flush_that_is_swallowed_without_rollback(watch, seen, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        _add(session, models)
        with pytest.raises(IntegrityError):
            _add(session, models)
    finding = seen.only_finding("SW203")
    assert finding["message"].endswith("it was closed after IntegrityError, without a commit")
    assert rows() == 0


def test_failed_commit_that_is_swallowed_without_rollback(watch, seen, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        session.add(models.Part(item_id=models.no_such_item))
        with pytest.raises(IntegrityError):
            session.commit()
    assert seen.only_finding("SW203")["message"].endswith("the commit failed")
    assert rows("part") == 0


def test_each_session_that_loses_writes_counts(watch, seen, make_session, models):
    with watch.owner("job"):
        for name in "ab":
            with make_session() as session:
                _add(session, models, name)
    assert seen.codes == ["SW203"] * 2


class TestRequests:
    def test_dependency_that_only_closes(self, found, app, call, dependencies, models, rows):
        @app.post("/add")
        def add_item(db: Annotated[Any, Depends(dependencies.close_only)]):
            _add(db, models)
            return {"id": 1}

        assert call(app, "/add", "POST").status_code == 200
        assert found.only_finding("SW203")["owner"]["status"] == 200
        assert rows() == 0

    @pytest.mark.parametrize("dependency", ["close_only", "no_finally"])
    def test_twin_whose_handler_commits(
        self, found, app, call, dependencies, models, rows, dependency
    ):
        @app.post("/add")
        def add_item(db: Annotated[Any, Depends(getattr(dependencies, dependency))]):
            _add(db, models)
            db.commit()
            return {}

        assert call(app, "/add", "POST").status_code == 200
        assert found.codes == []
        assert rows() == 1

    @pytest.mark.parametrize("status", [301, 200, 204])
    def test_every_status_of_success(self, found, app, call, dependencies, models, status):
        @app.post("/add")
        def add_item(db: Annotated[Any, Depends(dependencies.close_only)]):
            _add(db, models)
            return JSONResponse({}, status_code=status)

        call(app, "/add", "POST")
        assert found.codes == ["SW203"]

    @pytest.mark.parametrize("status", [400, 404, 422, 500])
    @pytest.mark.parametrize("way", ["returned", "raised"])
    def test_silent_when_the_request_failed(
        self, found, app, call, dependencies, models, rows, status, way
    ):
        @app.post("/add")
        def add_item(db: Annotated[Any, Depends(dependencies.close_only)]):
            _add(db, models)
            if way == "raised":
                raise HTTPException(status)
            return JSONResponse({}, status_code=status)

        assert call(app, "/add", "POST").status_code == status
        assert found.counts("discarded") == {"discarded": 1}
        assert found.codes == []
        assert rows() == 0

    def test_silent_when_an_exception_leaves_the_app(self, found, app, call, dependencies, models):
        @app.post("/add")
        def add_item(db: Annotated[Any, Depends(dependencies.close_only)]):
            _add(db, models)
            raise ValueError("no")

        assert call(app, "/add", "POST").status_code == 500
        assert found.codes == []

    def test_async_dependency_that_only_closes(self, found, app, run_async, models, rows):
        import httpx
        from sqlalchemy.ext.asyncio import AsyncSession

        async def body(engine):
            async def get_db():
                async with AsyncSession(engine) as db:
                    yield db

            @app.post("/add")
            async def add_item(db: Annotated[Any, Depends(get_db)]):
                db.add(models.Item(name="a"))
                await db.flush()
                return {}

            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                assert (await client.post("/add")).status_code == 200

        run_async(body)
        assert found.codes == ["SW203"]
        assert rows() == 0


class TestSilent:
    def test_reads(self, watch, seen, make_session, models):
        with watch.owner("job"), make_session() as session:
            session.scalars(select(models.Item)).all()
            session.execute(text("SELECT 'INSERT INTO item'"))
        assert seen.codes == []

    def test_writes_that_changed_no_row(self, watch, seen, make_session):
        with watch.owner("job"), make_session() as session:
            session.execute(text("DELETE FROM item WHERE name = 'nobody'"))
        assert seen.codes == []

    def test_objects_that_were_never_flushed(self, watch, seen, make_session, models):
        """No write reached the database."""
        with watch.owner("job"), make_session() as session:
            session.add(models.Item(name="a"))
        assert seen.codes == []

    def test_failed_owner(self, watch, seen, make_session, models):
        with suppress(ValueError), watch.owner("job"), make_session() as session:
            _add(session, models)
            raise ValueError("no")
        assert seen.counts("discarded") == {"discarded": 1}
        assert seen.codes == []

    def test_explicit_rollback(self, watch, seen, make_session, models):
        with watch.owner("job"), make_session() as session:
            _add(session, models)
            session.rollback()
        assert seen.codes == []

    def test_explicit_rollback_after_a_failed_flush(self, watch, seen, make_session, models):
        with watch.owner("job"), make_session() as session:
            _add(session, models)
            with pytest.raises(IntegrityError):
                _add(session, models)
            session.rollback()
        assert seen.codes == []

    def test_savepoint_that_was_rolled_back(self, watch, seen, savepoint_engine, models):
        with watch.owner("job"), Session(savepoint_engine) as session:
            savepoint = session.begin_nested()
            _add(session, models)
            savepoint.rollback()
        assert seen.codes == []

    @pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only"])
    def test_outer_transaction_of_a_test(self, watch, seen, savepoint_engine, models, mode):
        with savepoint_engine.connect() as connection, connection.begin() as outer:
            with watch.owner("test"), Session(connection, join_transaction_mode=mode) as session:
                _add(session, models)
            outer.rollback()
        assert seen.codes == []

    def test_autocommit(self, watch, seen, make_engine, models, rows):
        engine = make_engine(isolation_level="AUTOCOMMIT")
        with watch.owner("job"), Session(engine) as session:
            _add(session, models)
        assert seen.codes == []
        assert rows() == 1

    def test_process(self, seen, make_session, models):
        with make_session() as session:
            _add(session, models)
        assert seen.counts("discarded") == {"discarded": 1}
        assert seen.codes == []


def test_autocommit_of_one_engine_excuses_no_other(watch, seen, make_engine, models, rows):
    binds = {models.Item: make_engine(isolation_level="AUTOCOMMIT"), models.Part: make_engine()}
    with watch.owner("job"), Session(binds=binds) as session:
        _add(session, models)
        session.add(models.Part(item_id=1))
        session.flush()
    assert (rows("item"), rows("part")) == (1, 0)
    assert seen.codes == ["SW203"]
