"""SW105 detached-access."""

from __future__ import annotations

import gc
import sqlite3
import traceback
import weakref
from contextlib import suppress

import pytest
from fastapi import BackgroundTasks
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import inspect
from sqlalchemy.orm import Session, load_only
from sqlalchemy.orm.exc import DetachedInstanceError


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class PassOn:
    """A middleware of the application's, whose line stands in every traceback."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@pytest.fixture(autouse=True)
def _one_item(database_path):
    """Have the database hold one item, written by nobody who is watched."""
    connection = sqlite3.connect(database_path)
    with connection:
        connection.execute("INSERT INTO item (id, name) VALUES (1, 'a')")
    connection.close()


@pytest.fixture
def detached(make_session, models):
    """Return an item that a commit has expired, and whose session is closed."""

    def detached():
        with make_session() as session:
            item = session.get(models.Item, 1)
            session.commit()
        return item

    return detached


@pytest.fixture
def loaded(make_session, models):
    """Return an item that has been loaded again before its session was closed."""

    def loaded():
        with make_session() as session:
            item = session.get(models.Item, 1)
            session.commit()
            session.refresh(item)
        return item

    return loaded


class TestJob:
    def test_access_to_expired_values(self, watch, seen, detached):
        with pytest.raises(DetachedInstanceError), watch.owner("job"):
            str(detached().name)
        finding = seen.only_finding("SW105")
        assert (finding["name"], finding["severity"], finding["evidence"]) == (
            "detached-access",
            "warning",
            "proof",
        )
        assert finding["opened_at"]["function"] == "test_access_to_expired_values"
        assert finding["details"] == {"model": "Item", "attribute": None}
        assert "job failed on expired values of Item at " in finding["message"]
        assert finding["owner"]["error"] == "DetachedInstanceError"

    def test_twin_has_loaded_them(self, watch, seen, loaded):
        with watch.owner("job"):
            assert loaded().name == "a"
        assert seen.codes == []

    def test_attribute_that_was_left_out(self, watch, seen, make_session, models):
        with make_session() as session:
            item = session.query(models.Item).options(load_only(models.Item.id)).one()
        with pytest.raises(DetachedInstanceError), watch.owner("job"):
            str(item.name)
        finding = seen.only_finding("SW105")
        assert finding["details"] == {"model": "Item", "attribute": "name"}
        assert "job failed on Item.name at" in finding["message"]

    def test_names_the_line_of_the_access(self, watch, seen, detached):
        def access(item):
            return item.name

        with pytest.raises(DetachedInstanceError) as caught, watch.owner("job"):
            access(detached())
        finding = seen.only_finding("SW105")
        assert finding["opened_at"]["function"] == "access"
        lines = [
            frame.lineno for frame in traceback.extract_tb(caught.tb) if frame.name == "access"
        ]
        assert [finding["opened_at"]["line"]] == lines
        assert [frame["function"] for frame in finding["stack"] if frame["origin"] != "machinery"][
            :2
        ] == ["access", "test_names_the_line_of_the_access"]

    def test_is_told_once_where_owners_are_nested(self, watch, seen, detached):
        with pytest.raises(DetachedInstanceError), watch.owner("outer"), watch.owner("inner"):
            str(detached().name)
        assert seen.only_finding("SW105")["owner"]["name"] == "inner"

    def test_every_watch_hears_of_its_own_owner(self, watch, seen, make_watch, read, detached):
        other = make_watch()
        with pytest.raises(DetachedInstanceError), watch.owner("outer"), other.owner("inner"):
            str(detached().name)
        assert seen.only_finding("SW105")["owner"]["name"] == "outer"
        assert read(other).only_finding("SW105")["owner"]["name"] == "inner"


class TestWrapped:
    def test_as_the_cause(self, watch, seen, detached):
        def work():
            try:
                str(detached().name)
            except DetachedInstanceError as error:
                raise RuntimeError("no name") from error

        with pytest.raises(RuntimeError), watch.owner("job"):
            work()
        finding = seen.only_finding("SW105")
        assert "job failed with RuntimeError on expired values of Item" in finding["message"]

    def test_as_the_context(self, watch, seen, detached):
        def work():
            try:
                str(detached().name)
            finally:
                str(1 / 0)

        with pytest.raises(ZeroDivisionError), watch.owner("job"):
            work()
        assert seen.codes == ["SW105"]

    def test_in_a_group_in_a_group(self, watch, seen, detached):
        def group():
            try:
                str(detached().name)
            except DetachedInstanceError as error:
                raise ExceptionGroup(
                    "outer", [ValueError(), ExceptionGroup("inner", [error])]
                ) from None

        with pytest.raises(ExceptionGroup), watch.owner("job"):
            group()
        assert seen.only_finding("SW105")["opened_at"]["function"] == "group"

    def test_in_a_model_that_could_not_be_read(self, watch, seen, detached):
        with pytest.raises(ValidationError), watch.owner("job"):
            ItemOut.model_validate(detached())
        finding = seen.only_finding("SW105")
        assert finding["opened_at"]["function"] == "test_in_a_model_that_could_not_be_read"
        assert "failed with ValidationError on expired values of Item at" in finding["message"]

    def test_errors_that_refer_to_each_other_end(self, watch, seen):
        one, other = ValueError("one"), ValueError("other")
        one.__cause__, other.__cause__ = other, one
        with pytest.raises(ValueError), watch.owner("job"):
            raise one
        assert seen.codes == []

    def test_far_too_many_errors_end(self, watch, seen, detached):
        with suppress(DetachedInstanceError):
            str(detached().name)
        group = ExceptionGroup("many", [ValueError(str(number)) for number in range(10_000)])
        with pytest.raises(ExceptionGroup), watch.owner("job"):
            raise group
        assert seen.codes == []


class TestRequest:
    def test_in_the_handler(self, found, app, call, detached):
        @app.get("/items")
        def read_item():
            return {"name": detached().name}

        assert call(app, "/items").status_code == 500
        finding = found.only_finding("SW105")
        assert finding["opened_at"]["function"] == "read_item"
        assert finding["owner"]["route"] == "GET /items"

    def test_twin_answers_with_what_was_loaded(self, found, app, call, loaded):
        @app.get("/items")
        def read_item():
            return {"name": loaded().name}

        assert call(app, "/items").json() == {"name": "a"}
        assert found.codes == []

    def test_in_the_response_model(self, found, app, call, detached):
        @app.get("/items", response_model=ItemOut)
        def read_item():
            return detached()

        assert call(app, "/items").status_code == 500
        finding = found.only_finding("SW105")
        assert finding["opened_at"]["function"] == "read_item"
        assert finding["opened_at"]["line"] == read_item.__code__.co_firstlineno
        assert "failed with ResponseValidationError on expired values of Item" in finding["message"]

    def test_twin_in_the_response_model(self, found, app, call, loaded):
        @app.get("/items", response_model=ItemOut)
        def read_item():
            return loaded()

        assert call(app, "/items").status_code == 200
        assert found.codes == []

    def test_in_a_list_of_the_response_below_a_middleware(self, found, app, call, detached):
        @app.get("/items")
        async def read_items() -> list[ItemOut]:
            return [detached()]

        app.add_middleware(PassOn)
        assert call(app, "/items").status_code == 500
        assert found.only_finding("SW105")["opened_at"]["function"] == "read_items"

    def test_in_a_background_task(self, found, app, call, detached):
        def work(item):
            str(item.name)

        @app.post("/items")
        def create(background: BackgroundTasks):
            background.add_task(work, detached())

        call(app, "/items", "POST")
        assert found.only_finding("SW105")["opened_at"]["function"] == "work"

    def test_in_a_stream(self, found, app, call, detached):
        def lines(item):
            yield item.name

        @app.get("/items")
        def stream():
            return StreamingResponse(lines(detached()))

        call(app, "/items")
        assert found.only_finding("SW105")["opened_at"]["function"] == "lines"

    def test_async_session(self, found, app, run_async, models):
        import httpx
        from sqlalchemy.ext.asyncio import AsyncSession

        async def body(engine):
            @app.get("/items")
            async def read_item():
                async with AsyncSession(engine) as session:
                    item = await session.get(models.Item, 1)
                    await session.commit()
                return {"name": item.name}

            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                assert (await client.get("/items")).status_code == 500

        run_async(body)
        assert found.only_finding("SW105")["opened_at"]["function"] == "read_item"


class TestSilent:
    def test_caught_and_handled(self, watch, seen, detached):
        with watch.owner("job"):
            item = detached()
            with pytest.raises(DetachedInstanceError):
                str(item.name)
        assert seen.codes == []

    def test_answered_by_an_exception_handler(self, found, app, call, detached):
        @app.exception_handler(DetachedInstanceError)
        def answer(request, error):
            return PlainTextResponse("gone", status_code=410)

        @app.get("/items")
        def read_item():
            return {"name": detached().name}

        assert call(app, "/items").status_code == 410
        assert found.codes == []

    def test_replaced_by_an_error_of_its_own(self, watch, seen, detached):
        def work():
            try:
                str(detached().name)
            except DetachedInstanceError:
                raise LookupError("no name") from None

        with pytest.raises(LookupError), watch.owner("job"):
            work()
        assert seen.codes == []

    def test_another_error(self, watch, seen):
        with pytest.raises(ZeroDivisionError), watch.owner("job"):
            str(1 / 0)
        assert seen.codes == []

    def test_response_refused_for_another_reason(self, found, app, call):
        @app.get("/items", response_model=ItemOut)
        def read_item():
            return {"id": "none"}

        assert call(app, "/items").status_code == 500
        assert found.codes == []

    def test_what_was_loaded_of_a_detached_instance(self, watch, seen, loaded):
        with watch.owner("job"):
            item = loaded()
            assert inspect(item).detached
            assert (item.id, item.name) == (1, "a")
        assert seen.codes == []


def test_nothing_of_the_application_is_kept_alive(watch, seen, detached):
    class Big:
        pass

    references = []

    def fail():
        big = Big()
        references.append(weakref.ref(big))
        item = detached()
        references.append(weakref.ref(item))
        str(item.name)

    try:
        with watch.owner("job"):
            fail()
    except DetachedInstanceError as error:
        references.append(weakref.ref(error))
    gc.collect()
    assert seen.codes == ["SW105"]
    assert [reference() for reference in references] == [None] * 3


def test_session_in_use_is_no_matter(watch, seen, engine, detached):
    with Session(engine) as session, watch.owner("job"), suppress(DetachedInstanceError):
        session.connection()
        str(detached().name)
    assert seen.codes == []
