"""SW202 partial-commit."""

import gc
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import pytest
from fastapi import Depends, HTTPException
from fastapi.responses import JSONResponse
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session


def _add(session, models, name):
    session.add(models.Item(name=name))
    session.flush()


@pytest.fixture
def commit(clock, models):
    """Write and commit, and let the clock move on."""

    def commit(session, name="committed"):
        _add(session, models, name)
        session.commit()
        clock.advance()

    return commit


def _is_certain(finding):
    return (finding["severity"], finding["evidence"]) == ("error", "lost work")


def _is_suspect(finding):
    return (finding["severity"], finding["evidence"]) == ("info", "suspect")


def test_commit_and_then_an_error(watch, seen, make_session, commit, rows):
    with suppress(ValueError), watch.owner("job"), make_session() as session:
        commit(session)
        raise ValueError("no")
    finding = seen.only_finding("SW202")
    assert finding["name"] == "partial-commit"
    assert _is_certain(finding)
    assert finding["message"].endswith(", and then raised ValueError")
    assert finding["details"] == {"writes_committed": 1, "writes_dropped": 0}
    assert rows() == 1


def test_twin_commits_once_at_the_end(watch, seen, make_session, models, rows):
    with suppress(ValueError), watch.owner("job"), make_session.begin() as session:
        _add(session, models, "a")
        raise ValueError("no")
    assert seen.codes == []
    assert rows() == 0


def test_commit_and_then_a_rollback_of_later_writes(
    watch, seen, make_session, commit, models, rows
):
    with watch.owner("job"), make_session() as session:
        commit(session)
        _add(session, models, "lost")
        session.rollback()
    finding = seen.only_finding("SW202")
    assert _is_suspect(finding)  # a unit of work that was taken back on purpose, and went on from
    assert finding["details"] == {"writes_committed": 1, "writes_dropped": 1}
    assert "lost 1 later write (rolled back)" in finding["message"]
    assert rows() == 1


def test_commit_and_then_later_writes_are_dropped(watch, seen, make_session, commit, models, rows):
    with watch.owner("job"), make_session() as session:
        commit(session)
        _add(session, models, "lost")
    finding = next(each for each in seen.findings if each["code"] == "SW202")
    assert _is_certain(finding)
    assert rows() == 1


def test_commit_of_one_session_and_then_another_loses(
    watch, seen, make_session, commit, models, rows
):
    with suppress(ValueError), watch.owner("job"):
        with make_session() as session:
            commit(session)
        with make_session.begin() as session:
            _add(session, models, "lost")
            raise ValueError("no")
    assert _is_certain(seen.only_finding("SW202"))
    assert rows() == 1


def test_commit_and_then_a_commit_that_fails(watch, seen, make_session, commit, models, rows):
    with suppress(IntegrityError), watch.owner("job"), make_session() as session:
        commit(session)
        session.add(models.Part(item_id=models.no_such_item))
        session.commit()
    finding = seen.only_finding("SW202")
    assert finding["details"] == {"writes_committed": 1, "writes_dropped": 1}
    assert (rows("item"), rows("part")) == (1, 0)


def test_textual_writes(watch, seen, clock, make_session):
    with suppress(ValueError), watch.owner("job"), make_session() as session:
        session.execute(text("INSERT INTO item (name) VALUES ('a')"))
        session.commit()
        clock.advance()
        raise ValueError("no")
    assert _is_certain(seen.only_finding("SW202"))


def test_place_of_the_commit_is_named(watch, seen, make_session, commit):
    with suppress(ValueError), watch.owner("job"), make_session() as session:
        commit(session)
        raise ValueError("no")
    finding = seen.only_finding("SW202")
    assert "test_sw202.py" in finding["message"]
    assert "in commit, and then" in finding["message"]


class TestRequests:
    def test_handler_that_fails_between_two_commits(
        self, found, app, call, dependencies, models, rows
    ):
        @app.post("/transfer")
        def transfer(db: Annotated[Any, Depends(dependencies.full)]):
            _add(db, models, "debit")
            db.commit()
            raise RuntimeError("before the credit")

        assert call(app, "/transfer", "POST").status_code == 500
        finding = found.only_finding("SW202")
        assert _is_certain(finding)
        assert (finding["owner"]["route"], finding["owner"]["status"]) == ("POST /transfer", 500)
        assert rows() == 1

    def test_twin_that_flushes(self, found, app, call, dependencies, models, rows):
        @app.post("/transfer")
        def transfer(db: Annotated[Any, Depends(dependencies.full)]):
            _add(db, models, "debit")
            raise RuntimeError("before the credit")

        assert call(app, "/transfer", "POST").status_code == 500
        assert found.codes == []
        assert rows() == 0

    @pytest.mark.parametrize("status", [500, 503])
    def test_server_error_that_is_returned_after_the_handlers_commit(
        self, found, app, call, dependencies, models, status
    ):
        @app.post("/transfer")
        def transfer(db: Annotated[Any, Depends(dependencies.close_only)]):
            _add(db, models, "debit")
            db.commit()
            return JSONResponse({}, status_code=status)

        assert call(app, "/transfer", "POST").status_code == status
        assert _is_certain(found.only_finding("SW202"))

    @pytest.mark.parametrize("way", ["returned", "raised"])
    @pytest.mark.parametrize("dependency", ["full", "close_only"])
    def test_client_error_after_the_handlers_commit_is_only_suspect(
        self, found, app, call, dependencies, models, rows, way, dependency
    ):
        """A failed login that is recorded is correct."""

        @app.post("/login")
        def login(db: Annotated[Any, Depends(getattr(dependencies, dependency))]):
            _add(db, models, "failed login")
            db.commit()
            if way == "raised":
                raise HTTPException(401)
            return JSONResponse({}, status_code=401)

        assert call(app, "/login", "POST").status_code == 401
        assert _is_suspect(found.only_finding("SW202"))
        assert rows() == 1

    def test_client_error_with_something_dropped_is_certain(
        self, found, app, call, dependencies, models
    ):
        @app.post("/orders")
        def order(db: Annotated[Any, Depends(dependencies.full)]):
            _add(db, models, "order")
            db.commit()
            _add(db, models, "line")
            raise HTTPException(409)

        assert call(app, "/orders", "POST").status_code == 409
        assert _is_certain(found.only_finding("SW202"))

    def test_handler_that_commits_through_a_generator_of_its_own(
        self, found, app, call, make_session, models
    ):
        """The handler's own `with`, not a dependency's exit: not SW206."""

        @contextmanager
        def session_scope():
            session = make_session()
            try:
                yield session
                session.commit()
            finally:
                session.close()

        @app.post("/login")
        def login():
            with session_scope() as session:
                _add(session, models, "failed login")
            return JSONResponse({}, status_code=401)

        assert call(app, "/login", "POST").status_code == 401
        assert _is_suspect(found.only_finding("SW202"))

    def test_success(self, found, app, call, dependencies, models):
        @app.post("/orders")
        def order(db: Annotated[Any, Depends(dependencies.close_only)]):
            _add(db, models, "order")
            db.commit()
            return {}

        assert call(app, "/orders", "POST").status_code == 200
        assert found.codes == []


class TestSilent:
    def test_error_before_any_write(self, watch, seen, make_session):
        with suppress(ValueError), watch.owner("job"), make_session() as session:
            session.execute(select(1))
            session.commit()
            raise ValueError("no")
        assert seen.codes == []

    def test_garbage_collector_took_the_other_writes_before_the_commit(
        self, watch, seen, make_session, models, commit, clock
    ):
        with watch.owner("job"):
            _add(make_session(), models, "lost")
            gc.collect()
            clock.advance()
            with make_session() as session:
                commit(session)
        assert seen.codes == ["SW103"]

    def test_read_only_commit_and_then_a_rollback(self, watch, seen, make_session, models):
        with suppress(ValueError), watch.owner("job"):
            with make_session() as session:
                session.scalars(select(models.Item)).all()
                session.commit()
            with make_session.begin() as session:
                _add(session, models, "a")
                raise ValueError("no")
        assert seen.codes == []

    def test_retry_that_succeeds(self, watch, seen, clock, make_session, models, rows):
        """What was rolled back came before the commit, not after it."""
        with watch.owner("job"), make_session() as session:
            _add(session, models, "a")
            clock.advance()
            session.rollback()
            clock.advance()
            _add(session, models, "a")
            session.commit()
        assert rows() == 1
        assert seen.codes == []

    def test_commit_and_then_a_rollback_of_reads(self, watch, seen, make_session, commit):
        with watch.owner("job"), make_session() as session:
            commit(session)
            session.execute(select(1))
            session.rollback()
        assert seen.codes == []

    def test_savepoint_that_is_rolled_back(self, watch, seen, savepoint_engine, models, rows):
        with watch.owner("job"), Session(savepoint_engine) as session:
            _add(session, models, "a")
            savepoint = session.begin_nested()
            _add(session, models, "b")
            savepoint.rollback()
            session.commit()
        assert seen.codes == []
        assert rows() == 1

    def test_commit_inside_the_outer_transaction_of_a_test(
        self, watch, seen, savepoint_engine, models
    ):
        with savepoint_engine.connect() as connection, connection.begin() as outer:
            options = {"join_transaction_mode": "create_savepoint"}
            with (
                suppress(ValueError),
                watch.owner("test"),
                Session(connection, **options) as session,
            ):
                _add(session, models, "a")
                session.commit()
                _add(session, models, "b")
                raise ValueError("no")
            outer.rollback()
        assert seen.codes == []

    def test_other_owner_that_fails(self, watch, seen, make_session, commit):
        with watch.owner("one"), make_session() as session:
            commit(session)
        with pytest.raises(ValueError, match="no"), watch.owner("two"):
            raise ValueError("no")
        assert seen.codes == []
