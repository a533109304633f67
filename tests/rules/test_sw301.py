"""SW301 commit-after-response."""

import threading
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session


def _add(session, models, name="a"):
    session.add(models.Item(name=name))
    session.flush()


class TestByTheClock:
    """A bare ASGI application: the same on every version of FastAPI."""

    @pytest.fixture
    def request_with(self, answer, make_session):
        """Answer a request whose session does one thing before and one after the response."""

        def request_with(before, after, status=200):
            session = None

            def first():
                nonlocal session
                session = make_session()
                before(session)

            def then():
                try:
                    after(session)
                except IntegrityError:
                    session.rollback()
                    raise
                finally:
                    session.close()

            return answer(first, then, status)

        return request_with

    def test_commit_after_the_response(self, seen, request_with, models, rows):
        request_with(lambda session: _add(session, models), lambda session: session.commit())
        finding = seen.only_finding("SW301")
        assert (finding["name"], finding["severity"], finding["evidence"]) == (
            "commit-after-response",
            "warning",
            "suspect",
        )
        assert "answered 200 before 1 write of the session opened at" in finding["message"]
        assert finding["details"]["late_seconds"] == pytest.approx(0.002)
        assert rows() == 1

    def test_twin_commits_before_the_response(self, seen, request_with, models, rows):
        def write(session):
            _add(session, models)
            session.commit()

        request_with(write, lambda session: None)
        assert seen.codes == []
        assert rows() == 1

    def test_commit_that_fails_after_the_response(self, seen, request_with, models, rows):
        def write(session):
            session.add(models.Part(item_id=models.no_such_item))
            session.flush()

        response = request_with(write, lambda session: session.commit())
        assert response.status_code == 200
        finding = seen.only_finding("SW301")
        assert (finding["severity"], finding["evidence"]) == ("error", "lost work")
        assert finding["details"] == {"commit_failed": True, "writes_lost": 1}
        assert "answered 200, then the commit of 1 write" in finding["message"]
        assert rows("part") == 0

    def test_commit_that_fails_and_is_not_rolled_back_is_found_once(
        self, seen, watched, call, clock, make_session, models
    ):
        """It is discarded too, but SW301 says more than SW203."""

        async def application(scope, receive, send):
            clock.advance()
            session = make_session()
            session.add(models.Part(item_id=models.no_such_item))
            session.flush()
            clock.advance()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            clock.advance()
            with suppress(IntegrityError):
                session.commit()
            session.close()

        assert call(watched(application)).status_code == 200
        assert seen.only_finding("SW301")["severity"] == "error"

    def test_savepoint_that_is_released_after_the_response_is_no_commit(
        self, seen, answer, savepoint_engine, models
    ):
        sessions = []

        def before():
            sessions.append(Session(savepoint_engine))
            _add(sessions[0], models)

        def after():
            with sessions[0].begin_nested():
                _add(sessions[0], models, "b")
            sessions[0].rollback()
            sessions[0].close()

        answer(before, after)
        assert "SW301" not in seen.codes

    def test_twin_whose_commit_fails_before_the_response(
        self, seen, watched, call, make_session, models
    ):
        async def application(scope, receive, send):
            with make_session.begin() as session:
                session.add(models.Part(item_id=models.no_such_item))

        assert call(watched(application)).status_code == 500
        assert seen.codes == []

    def test_lost_work_is_not_hidden_by_the_requests_that_went_well(
        self, seen, request_with, models, log
    ):
        def write(session, good):
            if good:
                _add(session, models, str(good))
            else:
                session.add(models.Part(item_id=models.no_such_item))
                session.flush()

        for good in (1, 2, 0, 3):
            request_with(lambda session, good=good: write(session, good), lambda s: s.commit())
        evidence = {finding["evidence"]: finding["count"] for finding in seen.findings}
        assert evidence.keys() >= {"lost work"}
        assert seen.codes == ["SW301"] * 4
        assert [record.levelname for record in log.records].count("ERROR") == 1

    def test_silent_when_the_session_began_after_the_response(
        self, seen, request_with, models, rows
    ):
        def write_and_commit(session):
            _add(session, models)
            session.commit()

        request_with(lambda session: None, write_and_commit)
        assert seen.codes == []
        assert rows() == 1

    def test_silent_when_nothing_was_written(self, seen, request_with):
        request_with(lambda session: session.execute(select(1)), lambda session: session.commit())
        assert seen.codes == []

    def test_silent_when_the_writes_are_rolled_back(self, seen, request_with, models):
        request_with(lambda session: _add(session, models), lambda session: session.rollback())
        assert "SW301" not in seen.codes

    def test_error_response_is_a_swallowed_error(self, seen, request_with, models):
        request_with(lambda session: _add(session, models), lambda session: session.commit(), 400)
        finding = seen.only_finding("SW206")
        assert finding["related"] == ["SW301"]


class TestOnThisFastAPI:
    """FIELD's table: the exit of a `yield` dependency moved behind the response in 0.118."""

    @pytest.fixture
    def add_route(self, app, models):
        def add_route(dependency, item, **options):
            @app.post("/orders")
            def order(db: Annotated[Any, Depends(dependency, **options)]):
                db.add(item)
                db.flush()
                return {}

        return add_route

    @pytest.mark.parametrize("dependency", ["full", "begin", "scope", "unit_of_work"])
    def test_dependency_that_commits(
        self,
        found,
        app,
        call,
        add_route,
        dependencies,
        models,
        rows,
        dependency,
        exits_after_response,
    ):
        add_route(getattr(dependencies, dependency), models.Item(name="a"))
        assert call(app, "/orders", "POST").status_code == 200
        assert found.codes == (["SW301"] if exits_after_response else [])
        assert rows() == 1

    @pytest.mark.parametrize("dependency", ["full", "begin", "scope", "unit_of_work"])
    def test_dependency_whose_commit_fails(
        self,
        found,
        app,
        call,
        add_route,
        dependencies,
        models,
        rows,
        dependency,
        exits_after_response,
    ):
        add_route(getattr(dependencies, dependency), models.Part(item_id=models.no_such_item))
        response = call(app, "/orders", "POST")
        assert rows("part") == 0
        if exits_after_response:
            assert response.status_code == 200
            assert found.only_finding("SW301")["severity"] == "error"
        else:
            assert response.status_code == 500
            assert found.codes == []

    def test_twin_with_the_functions_scope(
        self, found, app, call, add_route, dependencies, models, rows, function_scope
    ):
        add_route(dependencies.full, models.Item(name="a"), **function_scope)
        assert call(app, "/orders", "POST").status_code == 200
        assert found.codes == []
        assert rows() == 1

    def test_twin_with_the_functions_scope_whose_commit_fails(
        self, found, app, call, add_route, dependencies, models, rows, function_scope
    ):
        part = models.Part(item_id=models.no_such_item)
        add_route(dependencies.full, part, **function_scope)
        assert call(app, "/orders", "POST").status_code == 500
        assert found.codes == []
        assert rows("part") == 0

    def test_twin_whose_handler_commits(self, found, app, call, dependencies, models, rows):
        @app.post("/orders")
        def order(db: Annotated[Any, Depends(dependencies.full)]):
            _add(db, models)
            db.commit()
            return {}

        assert call(app, "/orders", "POST").status_code == 200
        assert found.codes == []

    def test_silent_for_a_thread_of_its_own_that_leaves_a_scope_after_the_response(
        self, found, app, call, make_session, models, rows
    ):
        """Its work was never part of what the client was told."""
        answered, threads = threading.Event(), []

        @contextmanager
        def session_scope():
            with make_session() as session:
                yield session
                session.commit()

        def work():
            with session_scope() as session:
                _add(session, models)
                answered.wait(10)

        @app.post("/orders")
        def order():
            threads.append(threading.Thread(target=copy_context().run, args=(work,)))
            threads[0].start()
            return {}

        assert call(app, "/orders", "POST").status_code == 200
        answered.set()
        threads[0].join(10)
        assert "SW301" not in found.codes
        assert rows() == 1

    def test_silent_for_a_background_task(self, found, app, call, make_session, models, rows):
        def record():
            with make_session.begin() as session:
                _add(session, models, "recorded")

        @app.post("/orders")
        def order(background: BackgroundTasks):
            background.add_task(record)
            return {}

        assert call(app, "/orders", "POST").status_code == 200
        assert found.codes == []
        assert rows() == 1

    def test_async_dependency_that_commits(
        self, found, app, run_async, models, rows, exits_after_response
    ):
        import httpx
        from sqlalchemy.ext.asyncio import AsyncSession

        async def body(engine):
            async def get_db():
                async with AsyncSession(engine) as db:
                    yield db
                    await db.commit()

            @app.post("/orders")
            async def order(db: Annotated[Any, Depends(get_db)]):
                db.add(models.Item(name="a"))
                await db.flush()
                return {}

            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                assert (await client.post("/orders")).status_code == 200

        run_async(body)
        assert found.codes == (["SW301"] if exits_after_response else [])
        assert rows() == 1
