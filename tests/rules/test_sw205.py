"""SW205 savepoint-orphan."""

from contextlib import suppress

import pytest
from sqlalchemy.orm import Session


@pytest.fixture
def add(models):
    def add(session, name="a"):
        session.add(models.Item(name=name))
        session.flush()

    return add


def test_savepoint_left_open(watch, seen, savepoint_engine, add, rows):
    with watch.owner("job"), Session(savepoint_engine) as session:
        session.begin_nested()
        add(session)
    finding = seen.only_finding("SW205")
    assert (finding["severity"], finding["evidence"]) == ("warning", "lost work")
    assert (
        "job reported success and lost 1 write of a savepoint that was still open"
        in (finding["message"])
    )
    assert finding["details"] == {"writes": 1}
    assert rows() == 0


def test_twin_ends_the_savepoint_and_commits(watch, seen, savepoint_engine, add, rows):
    with watch.owner("job"), Session(savepoint_engine) as session:
        with session.begin_nested():
            add(session)
        session.commit()
    assert seen.codes == []
    assert rows() == 1


def test_savepoint_released_and_the_rest_discarded(watch, seen, savepoint_engine, add, rows):
    with watch.owner("job"), Session(savepoint_engine) as session, session.begin_nested():
        add(session)
    finding = seen.only_finding("SW205")
    assert (finding["severity"], finding["related"]) == ("error", ["SW203"])
    assert "and nobody committed after that" in finding["message"]
    assert rows() == 0


def test_open_savepoint_in_a_transaction_that_wrote_too(watch, seen, savepoint_engine, add, rows):
    with watch.owner("job"), Session(savepoint_engine) as session:
        add(session, "a")
        session.begin_nested()
        add(session, "b")
    assert seen.codes == ["SW203", "SW205"]
    assert rows() == 0


def test_open_savepoint_after_a_commit(watch, seen, savepoint_engine, add, clock):
    with watch.owner("job"), Session(savepoint_engine) as session:
        add(session, "a")
        session.commit()
        clock.advance()
        session.begin_nested()
        add(session, "b")
    assert seen.codes == ["SW202", "SW205"]
    (partial,) = [each for each in seen.findings if each["code"] == "SW202"]
    assert partial["details"] == {"writes_committed": 1, "writes_dropped": 1}


def test_savepoint_released_within_one_that_is_rolled_back(watch, seen, savepoint_engine, add):
    """What is lost in the end was in no savepoint."""
    with watch.owner("job"), Session(savepoint_engine) as session:
        outer = session.begin_nested()
        with session.begin_nested():
            add(session, "a")
        outer.rollback()
        add(session, "b")
    assert seen.codes == ["SW203"]


def test_savepoint_of_a_session_that_was_used_again_after_its_close(
    watch, seen, savepoint_engine, add
):
    with watch.owner("job"):
        session = Session(savepoint_engine)
        with session.begin_nested():
            add(session)
        session.close()
        session.connection()
    assert seen.codes == ["SW101", "SW205"]
    session.close()


class TestSilent:
    def test_commit_ends_the_savepoint(self, watch, seen, savepoint_engine, add, rows):
        with watch.owner("job"), Session(savepoint_engine) as session:
            session.begin_nested()
            add(session)
            session.commit()
        assert seen.codes == []
        assert rows() == 1

    def test_owner_that_failed(self, watch, seen, savepoint_engine, add):
        with suppress(RuntimeError), watch.owner("job"), Session(savepoint_engine) as session:
            session.begin_nested()
            add(session)
            raise RuntimeError
        assert seen.codes == []

    def test_rollback_of_the_savepoint(self, watch, seen, savepoint_engine, add):
        with watch.owner("job"), Session(savepoint_engine) as session:
            savepoint = session.begin_nested()
            add(session)
            savepoint.rollback()
        assert seen.codes == []

    def test_rollback_of_the_whole(self, watch, seen, savepoint_engine, add):
        with watch.owner("job"), Session(savepoint_engine) as session:
            with session.begin_nested():
                add(session)
            session.begin_nested()
            add(session, "b")
            session.rollback()
        assert seen.codes == []

    def test_inner_savepoint_of_one_that_is_rolled_back(
        self, watch, seen, savepoint_engine, add, rows
    ):
        with watch.owner("job"), Session(savepoint_engine) as session:
            outer = session.begin_nested()
            session.begin_nested()
            add(session)
            outer.rollback()
            session.commit()
        assert seen.codes == []
        assert rows() == 0

    def test_empty_savepoint(self, watch, seen, savepoint_engine):
        with watch.owner("job"), Session(savepoint_engine) as session:
            session.begin_nested()
        assert seen.codes == []

    def test_test_in_an_outer_transaction(self, watch, seen, savepoint_engine, add):
        with savepoint_engine.connect() as connection, connection.begin() as outer:
            with (
                watch.owner("test"),
                Session(connection, join_transaction_mode="create_savepoint") as session,
            ):
                with session.begin_nested():
                    add(session)
                session.commit()
            outer.rollback()
        assert seen.codes == []
