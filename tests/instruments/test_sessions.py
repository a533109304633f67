"""Sessions opened and closed, by whatever way and whoever made them."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from operator import methodcaller
from typing import ClassVar

import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.exc import IllegalStateChangeError
from sqlalchemy.orm import Session, close_all_sessions, scoped_session, sessionmaker


class CountingSession(Session):
    """A tally of the test's own: which methods were really called."""

    calls: ClassVar[Counter[str]] = Counter()

    def __init__(self, *arguments, **options):
        self.calls["opened"] += 1
        super().__init__(*arguments, **options)

    def close(self):
        self.calls["closed"] += 1
        super().close()

    def commit(self):
        self.calls["committed"] += 1
        super().commit()

    def rollback(self):
        self.calls["rolled_back"] += 1
        super().rollback()


def _with_block(session):
    with session:
        pass


WAYS_TO_CLOSE = {
    "close": methodcaller("close"),
    "reset": methodcaller("reset"),
    "invalidate": methodcaller("invalidate"),
    "with block": _with_block,
    "close_all_sessions": lambda session: close_all_sessions(),
}


def test_unused_session_fires_no_event_and_is_counted(seen, make_session):
    make_session().close()
    assert seen.counts() == {"opened": 1, "closed": 1}


def test_session_that_is_open_is_not_closed(seen, make_session):
    session = make_session()
    assert seen.counts() == {"opened": 1, "open": 1}
    session.close()
    assert seen.counts() == {"opened": 1, "closed": 1}


@pytest.mark.parametrize("close", WAYS_TO_CLOSE.values(), ids=WAYS_TO_CLOSE)
def test_every_way_to_close_counts(seen, make_session, tally, close):
    session = make_session()
    session.execute(text("SELECT 1"))
    close(session)
    assert seen.counts("opened", "closed", "open") == {"opened": 1, "closed": 1, "open": 0}
    assert seen.counts("checkouts", "checkins") == {
        "checkouts": tally["checkouts"],
        "checkins": tally["checkins"],
    }


@pytest.mark.parametrize("close", WAYS_TO_CLOSE.values(), ids=WAYS_TO_CLOSE)
def test_every_way_to_close_settles_the_session(watch, seen, make_session, close):
    with watch.owner("job"):
        session = make_session()
        session.execute(text("SELECT 1"))
        close(session)
    assert seen.codes == []


def test_session_that_is_closed_twice_counts_once(seen, make_session):
    session = make_session()
    session.close()
    session.close()
    assert seen.counts() == {"opened": 1, "closed": 1}


def test_scoped_session_remove_closes(seen, engine):
    registry = scoped_session(sessionmaker(engine))
    assert registry() is registry()
    registry.execute(text("SELECT 1"))
    registry.remove()
    registry.remove()
    assert seen.counts("opened", "closed", "checkins") == {"opened": 1, "closed": 1, "checkins": 1}


def test_close_all_sessions_closes_all(watch, seen, make_session):
    with watch.owner("job"):
        sessions = [make_session() for _ in range(3)]
        for session in sessions:
            session.execute(text("SELECT 1"))
        close_all_sessions()
    assert seen.counts("opened", "closed", "checkins") == {"opened": 3, "closed": 3, "checkins": 3}
    assert seen.codes == []


def test_calls_are_counted_as_a_session_subclass_counts_them(seen, engine, models, monkeypatch):
    monkeypatch.setattr(CountingSession, "calls", Counter())
    for number in range(7):
        session = CountingSession(engine)
        session.add(models.Item(name=str(number)))
        if number % 2:
            session.commit()
        elif number % 3:
            session.rollback()
        session.close()
    assert seen.counts("opened", "closed", "committed", "rolled_back") == CountingSession.calls


@pytest.mark.parametrize("existed", ["before", "after"])
def test_makers_and_engines_made_before_and_after_start(
    make_watch, read, database_path, models, existed, rows
):
    url = f"sqlite:///{database_path}"
    watch = None if existed == "before" else make_watch()
    engine = create_engine(url)
    maker = sessionmaker(engine)

    class OwnSession(Session):
        pass

    watch = watch or make_watch()
    makers = {
        "sessionmaker": maker,
        "own class": lambda: OwnSession(engine),
        "Session": lambda: Session(engine),
    }
    for name, make in makers.items():
        with make() as session:
            session.add(models.Item(name=name))
            session.commit()
    engine.dispose()
    assert read(watch).counts("opened", "closed", "committed", "writes", "checkouts") == {
        "opened": 3,
        "closed": 3,
        "committed": 3,
        "writes": 3,
        "checkouts": 3,
    }
    assert rows() == 3


def test_session_opened_before_the_watch_goes_on_unharmed_and_uncounted(
    make_session, make_watch, read, models, rows
):
    session = make_session()
    session.execute(text("SELECT 1"))
    watch = make_watch()
    session.add(models.Item(name="a"))
    session.commit()
    session.close()
    assert read(watch).counts("opened", "closed", "committed", "writes") == {
        "opened": 0,
        "closed": 0,
        "committed": 0,
        "writes": 0,
    }
    assert rows() == 1


def test_with_session_begin(seen, make_session, models, rows):
    with make_session() as session, session.begin():
        session.add(models.Item(name="a"))
    assert seen.counts("opened", "closed", "committed", "rolled_back", "discarded") == {
        "opened": 1,
        "closed": 1,
        "committed": 1,
        "rolled_back": 0,
        "discarded": 0,
    }
    assert rows() == 1


def test_sessionmaker_begin(seen, make_session, models, rows):
    with make_session.begin() as session:
        session.add(models.Item(name="a"))
    assert seen.counts("opened", "closed", "committed") == {
        "opened": 1,
        "closed": 1,
        "committed": 1,
    }
    assert rows() == 1


def test_sessionmaker_begin_that_fails_rolls_back(seen, make_session, models, rows):
    with suppress(ValueError), make_session.begin() as session:
        session.add(models.Item(name="a"))
        session.flush()
        raise ValueError("no")
    assert seen.counts("closed", "committed", "rolled_back", "discarded") == {
        "closed": 1,
        "committed": 0,
        "rolled_back": 1,
        "discarded": 0,
    }
    assert rows() == 0


def test_session_that_is_used_again_after_close_is_one_session(seen, make_session, models, rows):
    session = make_session()
    session.add(models.Item(name="a"))
    session.commit()
    session.close()
    session.add(models.Item(name="b"))
    session.flush()
    assert seen.counts("opened", "closed", "open") == {"opened": 1, "closed": 0, "open": 1}
    session.commit()
    session.close()
    assert seen.counts("opened", "closed", "committed", "checkouts", "checkins") == {
        "opened": 1,
        "closed": 1,
        "committed": 2,
        "checkouts": 2,
        "checkins": 2,
    }
    assert rows() == 2


def test_session_that_is_reused_and_left_open_is_still_watched(watch, seen, make_session):
    with watch.owner("job"):
        session = make_session()
        session.close()
        session.execute(text("SELECT 1"))
    session.close()
    finding = seen.only_finding("SW101")
    assert "never closed it" not in finding["message"]
    assert "again" in finding["message"]


@pytest.mark.parametrize("closes", [True, False])
def test_session_used_after_its_owner_ended_counts_for_that_owner(
    watch, seen, make_session, models, closes, rows
):
    with watch.owner("job"):
        session = make_session()
        if closes:
            session.close()
    session.add(models.Item(name="late"))
    session.commit()
    assert seen.counts("opened", "committed", "open") == {"opened": 1, "committed": 1, "open": 1}
    session.close()
    assert seen.counts("opened", "closed", "committed", "open", "writes", "checkins") == {
        "opened": 1,
        "closed": 1,
        "committed": 1,
        "open": 0,
        "writes": 1,
        "checkins": 1,
    }
    assert list(seen.snapshot.routes) == ["job"]
    assert rows() == 1


def test_closed_session_that_refuses_reuse_stays_closed(seen, engine):
    session = Session(engine, close_resets_only=False)
    session.close()
    with pytest.raises(Exception, match="permanently closed"):
        session.execute(select(1))
    assert seen.counts("opened", "closed", "open") == {"opened": 1, "closed": 1, "open": 0}


def test_close_that_is_refused_leaves_the_session_open(watch, seen, make_session, models):
    """SQLAlchemy raises IllegalStateChangeError for a close in the middle of a commit."""
    refused = []

    def close_too_early(session):
        try:
            session.close()
        except IllegalStateChangeError:
            refused.append(session)

    with watch.owner("job"):
        session = make_session()
        event.listen(session, "before_commit", close_too_early)
        session.add(models.Item(name="a"))
        session.commit()
        assert refused == [session]
    assert seen.counts("opened", "closed", "open") == {"opened": 1, "closed": 0, "open": 1}
    assert seen.codes == ["SW107"]


def test_constructor_that_raises_opens_nothing(seen, make_session):
    with pytest.raises(TypeError):
        make_session(no_such_option=True)
    assert seen.counts() == {}
