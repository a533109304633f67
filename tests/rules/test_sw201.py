"""SW201 split-unit-of-work."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import select, text
from sqlalchemy.orm import Session


def _add(session, models, *names):
    session.add_all(models.Item(name=name) for name in names)


def test_two_commits_of_one_session(watch, seen, clock, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        for name in "ab":
            _add(session, models, name)
            session.commit()
            clock.advance()
    finding = seen.only_finding("SW201")
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "split-unit-of-work",
        "info",
        "lost work",
    )
    assert finding["details"]["commits"] == rows() == 2
    assert "committed writes 2 times, first at tests/rules/test_sw201.py" in finding["message"]


def test_twin_flushes_and_commits_once(watch, seen, make_session, models, rows):
    with watch.owner("job"), make_session() as session:
        for name in "ab":
            _add(session, models, name)
            session.flush()
        session.commit()
    assert seen.codes == []
    assert rows() == 2


def test_commits_of_two_sessions(watch, seen, clock, make_session, models):
    with watch.owner("job"):
        for name in "ab":
            with make_session.begin() as session:
                _add(session, models, name)
            clock.advance()
    assert seen.only_finding("SW201")["details"]["commits"] == 2


def test_textual_writes(watch, seen, clock, make_session):
    with watch.owner("job"), make_session() as session:
        for name in "ab":
            session.execute(text("INSERT INTO item (name) VALUES (:name)"), {"name": name})
            session.commit()
            clock.advance()
    assert seen.codes == ["SW201"]


def test_handler_that_commits_twice(found, app, call, dependencies, models):
    @app.post("/transfer")
    def transfer(db: Annotated[Any, Depends(dependencies.close_only)]):
        _add(db, models, "debit")
        db.commit()
        _add(db, models, "credit")
        db.commit()
        return {}

    assert call(app, "/transfer", "POST").status_code == 200
    assert found.only_finding("SW201")["owner"]["route"] == "POST /transfer"


def test_twin_handler_commits_once(found, app, call, dependencies, models):
    @app.post("/transfer")
    def transfer(db: Annotated[Any, Depends(dependencies.close_only)]):
        _add(db, models, "debit")
        db.flush()
        _add(db, models, "credit")
        db.commit()
        return {}

    assert call(app, "/transfer", "POST").status_code == 200
    assert found.codes == []


class TestSilent:
    def test_read_only_commits(self, watch, seen, make_session, models):
        with watch.owner("job"), make_session() as session:
            session.scalars(select(models.Item)).all()
            session.commit()
            _add(session, models, "a")
            session.commit()
            session.scalars(select(models.Item)).all()
            session.commit()
            session.commit()
        assert seen.codes == []

    def test_savepoints(self, watch, seen, savepoint_engine, models):
        with watch.owner("job"), Session(savepoint_engine) as session:
            for name in "abc":
                with session.begin_nested():
                    _add(session, models, name)
            session.commit()
        assert seen.counts("savepoints_released") == {"savepoints_released": 3}
        assert seen.codes == []

    def test_failed_owner(self, watch, seen, clock, make_session, models):
        with suppress(ValueError), watch.owner("job"), make_session() as session:
            for name in "ab":
                _add(session, models, name)
                session.commit()
                clock.advance()
            raise ValueError("no")
        assert seen.codes == ["SW202"]

    def test_commit_that_changed_no_row(self, watch, seen, make_session, models):
        with watch.owner("job"), make_session() as session:
            _add(session, models, "a")
            session.commit()
            session.execute(text("UPDATE item SET name = 'b' WHERE name = 'nobody'"))
            session.commit()
        assert seen.codes == []

    def test_one_commit_and_one_rollback_before_it(self, watch, seen, make_session, models):
        with watch.owner("job"), make_session() as session:
            _add(session, models, "a")
            session.flush()
            session.rollback()
            _add(session, models, "a")
            session.commit()
        assert seen.codes == []

    def test_one_commit_each_in_two_owners(self, watch, seen, make_session, models):
        for name in "ab":
            with watch.owner("job"), make_session.begin() as session:
                _add(session, models, name)
        assert seen.codes == []

    def test_commits_inside_the_outer_transaction_of_a_test(
        self, watch, seen, savepoint_engine, models
    ):
        with savepoint_engine.connect() as connection, connection.begin() as outer:
            options = {"join_transaction_mode": "create_savepoint"}
            with watch.owner("test"), Session(connection, **options) as session:
                for name in "ab":
                    _add(session, models, name)
                    session.commit()
            outer.rollback()
        assert seen.codes == []

    def test_process(self, seen, make_session, models):
        with make_session() as session:
            for name in "ab":
                _add(session, models, name)
                session.commit()
        assert seen.codes == []
