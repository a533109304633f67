"""SW206 swallowed-error."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, HTTPException
from fastapi.responses import JSONResponse

COMMITTING = ["full", "begin"]


def _add(session, models):
    session.add(models.Item(name="half"))
    session.flush()


@pytest.fixture
def route(app, models):
    """Add `POST /transfer`, which writes and then ends as it is told."""

    def route(dependency, end, **options):
        @app.post("/transfer")
        def transfer(db: Annotated[Any, Depends(dependency, **options)]):
            _add(db, models)
            return end(db)

    return route


def _return(status):
    return lambda db: JSONResponse({}, status_code=status)


def _raise(status):
    def end(db):
        raise HTTPException(status)

    return end


@pytest.mark.parametrize("dependency", COMMITTING)
@pytest.mark.parametrize(
    ("status", "severity"),
    [(400, "warning"), (422, "warning"), (500, "error"), (503, "error")],
)
def test_error_response_that_is_returned(
    found, app, call, route, dependencies, rows, dependency, status, severity
):
    route(getattr(dependencies, dependency), _return(status))
    assert call(app, "/transfer", "POST").status_code == status
    finding = found.only_finding("SW206")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "swallowed-error",
        severity,
        "suspect",
    )
    assert finding["owner"]["route"] == "POST /transfer"
    assert finding["details"] == {"writes_committed": 1, "status": status}
    assert f"answered {status} without raising" in finding["message"]
    assert finding["opened_at"]["function"] == dependency
    assert rows() == 1


@pytest.mark.parametrize("dependency", COMMITTING)
@pytest.mark.parametrize("status", [400, 500])
def test_twin_raises(found, app, call, route, dependencies, rows, dependency, status):
    route(getattr(dependencies, dependency), _raise(status))
    assert call(app, "/transfer", "POST").status_code == status
    assert found.codes == []
    assert rows() == 0


@pytest.mark.parametrize("status", [400, 500])
def test_dependency_that_exits_before_the_response(
    found, app, call, route, dependencies, function_scope, status
):
    route(dependencies.full, _return(status), **function_scope)
    assert call(app, "/transfer", "POST").status_code == status
    assert found.codes == ["SW206"]


def test_async_dependency(found, app, run_async, models, rows):
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession

    async def body(engine):
        async def get_db():
            async with AsyncSession(engine) as db:
                yield db
                await db.commit()

        @app.post("/transfer")
        async def transfer(db: Annotated[Any, Depends(get_db)]):
            db.add(models.Item(name="half"))
            await db.flush()
            return JSONResponse({}, status_code=500)

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.post("/transfer")).status_code == 500

    run_async(body)
    assert found.only_finding("SW206")["severity"] == "error"
    assert rows() == 1


class TestSilent:
    @pytest.mark.parametrize("status", [400, 404, 500])
    def test_error_that_wrote_nothing(self, found, app, call, dependencies, status):
        @app.get("/items")
        def read_items(db: Annotated[Any, Depends(dependencies.full)]):
            db.connection()
            return JSONResponse({}, status_code=status)

        assert call(app, "/items").status_code == status
        assert found.codes == []

    def test_handler_that_commits_on_purpose(self, found, app, call, route, dependencies):
        """That is SW202's business, and for a 4xx only a suspicion."""

        def end(db):
            db.commit()
            return JSONResponse({}, status_code=401)

        route(dependencies.full, end)
        assert call(app, "/transfer", "POST").status_code == 401
        assert found.codes == ["SW202"]

    def test_handler_that_rolls_back_before(self, found, app, call, route, dependencies, rows):
        def end(db):
            db.rollback()
            return JSONResponse({}, status_code=500)

        route(dependencies.full, end)
        assert call(app, "/transfer", "POST").status_code == 500
        assert found.codes == []
        assert rows() == 0

    def test_dependency_that_does_not_commit(self, found, app, call, route, dependencies, rows):
        route(dependencies.close_only, _return(500))
        assert call(app, "/transfer", "POST").status_code == 500
        assert found.codes == []
        assert rows() == 0

    @pytest.mark.parametrize("status", [200, 204, 302])
    def test_success(self, found, app, call, route, dependencies, status):
        route(dependencies.full, _return(status))
        call(app, "/transfer", "POST")
        assert "SW206" not in found.codes

    def test_background_work_after_an_error_response(
        self, watch, seen, answer, make_session, models
    ):
        """Its session began after the response: it records the error, and swallows nothing."""

        def record():
            with make_session.begin() as session:
                _add(session, models)

        answer(lambda: None, record, status=404)
        assert "SW206" not in seen.codes

    def test_job(self, watch, seen, make_session, models):
        with watch.owner("job"), make_session.begin() as session:
            _add(session, models)
        assert seen.codes == []
