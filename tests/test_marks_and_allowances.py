"""Saying what is meant: `session.info["sessionwatch"]` and `allow`."""

import time
from contextlib import suppress

import pytest
from fastapi import FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import Session

import sessionwatch
from sessionwatch import SessionWatchMiddleware, allow

ONE = select(1)


@pytest.fixture
def watch(make_watch):
    """A watch on the real clock, as requests take real time."""
    return make_watch(clock=time.perf_counter_ns, wall_clock=time.time)


@pytest.fixture
def app(watch):
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=watch)
    return app


@pytest.fixture
def add(models):
    """Write and commit."""

    def add(session, name):
        session.add(models.Item(name=name))
        session.commit()

    return add


class TestLongLived:
    @pytest.mark.parametrize("when", ["in the sessionmaker", "later"])
    def test_open_session(self, watch, seen, engine, when):
        info = {"sessionwatch": "long-lived"}
        with watch.owner("job"):
            session = Session(engine, info=info if when == "in the sessionmaker" else None)
            session.execute(ONE)
            session.info.update(info)
        assert seen.codes == []
        session.close()

    def test_without_a_connection(self, watch, seen, engine):
        with watch.owner("job"):
            session = Session(engine, info={"sessionwatch": "long-lived"})
        assert seen.codes == []
        session.close()

    def test_twin_without_the_mark(self, watch, seen, engine):
        with watch.owner("job"):
            session = Session(engine, info={"something": "else"})
            session.execute(ONE)
        assert seen.codes == ["SW101"]
        session.close()

    def test_async_session(self, watch, seen, run_async):
        from sqlalchemy.ext.asyncio import AsyncSession

        async def body(engine):
            with watch.owner("job"):
                session = AsyncSession(engine)
                session.info["sessionwatch"] = "long-lived"
                await session.execute(ONE)
            await session.close()

        run_async(body)
        assert seen.codes == []


class TestAudit:
    def work(self, watch, engine, models, add, **options):
        with suppress(RuntimeError), watch.owner("job"):
            with Session(engine, **options) as audit:
                add(audit, "tried")
            raise RuntimeError

    def test_commit_that_is_meant_to_survive(self, watch, seen, engine, models, add):
        self.work(watch, engine, models, add, info={"sessionwatch": "audit"})
        assert seen.codes == []

    def test_twin_without_the_mark(self, watch, seen, engine, models, add):
        self.work(watch, engine, models, add)
        assert seen.codes == ["SW202"]

    def test_no_split_of_the_work(self, watch, seen, engine, add):
        with watch.owner("job"):
            with Session(engine, info={"sessionwatch": "audit"}) as audit:
                add(audit, "tried")
            with Session(engine) as session:
                add(session, "done")
        assert seen.codes == []


def test_unknown_mark_is_told_once(watch, seen, engine, log):
    with watch.owner("job"):
        for _ in range(3):
            Session(engine, info={"sessionwatch": "longlived"}).close()
    (record,) = log.records
    assert record.getMessage() == (
        "session.info[\"sessionwatch\"] is 'longlived', which is ignored; "
        "use one of 'long-lived', 'audit'"
    )


def test_info_that_nobody_asked_for_is_not_made(watch, engine):
    with Session(engine) as session:
        session.execute(ONE)
    assert "info" not in vars(session)


class TestAllow:
    def test_decorated_route(self, app, seen, call, make_session, add):
        @app.get("/import")
        @allow("SW201")
        def import_items():
            with make_session() as session:
                add(session, "a")
                add(session, "b")

        assert call(app, "/import").status_code == 200
        assert seen.codes == []

    def test_twin_route(self, app, seen, call, make_session, add):
        @app.get("/import")
        def import_items():
            with make_session() as session:
                add(session, "a")
                add(session, "b")

        call(app, "/import")
        assert seen.codes == ["SW201"]

    def test_it_allows_what_it_names_alone(self, app, seen, call, make_session, add):
        @app.get("/import")
        @allow("SW201")
        @allow("SW301")
        async def import_items():
            with make_session() as session:
                add(session, "a")
            raise HTTPException(500)

        call(app, "/import")
        assert seen.codes == ["SW202"]

    def test_beginning_of_codes(self, app, seen, call, make_session, add):
        @app.get("/import")
        @allow("SW2")
        async def import_items():
            with make_session() as session:
                add(session, "a")
                add(session, "b")
            raise HTTPException(500)

        call(app, "/import")
        assert seen.codes == []

    def test_what_is_judged_at_once(self, app, seen, call, make_session):
        @app.get("/items")
        @allow("SW502")
        def read_items():
            with make_session() as session, make_session() as another:
                session.execute(ONE)
                another.execute(ONE)

        call(app, "/items")
        assert seen.codes == []

    def test_the_function_itself_is_returned(self):
        def route():
            pass

        assert allow("SW201")(route) is route

    def test_block(self, watch, seen, make_session, add):
        with watch.owner("job"), make_session() as session:
            with allow("SW201"):
                add(session, "a")
            add(session, "b")
        with watch.owner("another"), make_session() as session:
            add(session, "c")
            add(session, "d")
        assert [finding["owner"]["name"] for finding in seen.findings] == ["another"]

    def test_block_without_an_owner(self):
        with allow("SW201"):
            pass

    def test_leak_that_is_allowed_is_no_other_finding_later(self, watch, seen, make_session):
        """What the garbage collector takes in the end was said to be meant."""
        import gc

        with watch.owner("job"), allow("SW101"):
            session = make_session()
            session.execute(ONE)
        del session
        gc.collect()
        assert seen.codes == []

    @pytest.mark.parametrize(
        ("code", "nearest"), [("SW2001", "SW201"), ("sw201", "SW201"), ("SW999", "SW")]
    )
    def test_unknown_code(self, code, nearest):
        with pytest.raises(
            ValueError, match=f"there is no finding '{code}'; did you mean '{nearest}"
        ):
            allow(code)

    def test_no_code(self):
        with pytest.raises(ValueError, match="name the findings that are meant"):
            allow()

    def test_it_is_public(self):
        assert sessionwatch.allow is allow
