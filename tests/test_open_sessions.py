"""What is open at a moment stays as it was then, whatever happens before somebody reads it."""

from __future__ import annotations

from sqlalchemy import select

ONE = select(1)


def test_they_are_told_as_they_were(watch, make_session, clock):
    with watch.owner("job"):
        session = make_session()
        session.execute(ONE)
        clock.advance(seconds=2)
        open_sessions = watch.snapshot().open_sessions
        session.close()
    (shown,) = open_sessions
    assert shown["state"] == "in transaction"
    assert shown["connections_out"] == 1
    assert shown["age_seconds"] == 2
    assert not shown["owner_ended"]
    assert watch.snapshot().open_sessions == []


def test_they_are_a_sequence(watch, make_session):
    with watch.owner("job"):
        sessions = [make_session() for _ in range(3)]
        shown = watch.snapshot().open_sessions
        assert len(shown) == 3
        assert shown[:2] == [shown[0], shown[1]]
        assert list(shown) == shown
        assert shown != []
        assert repr(shown) == repr(list(shown))
        for session in sessions:
            session.close()
