"""Starting and stopping: SQLAlchemy is left as it was, but for listeners that do nothing."""

from __future__ import annotations

import functools
import gc
import weakref

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import (
    AssertionPool,
    NullPool,
    Pool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from sessionwatch import SessionWatch
from sessionwatch.instruments import holds, session_record, sessions, statements

CLASSES = (
    Session,
    SessionTransaction,
    Connection,
    Engine,
    Dialect,
    Pool,
    QueuePool,
    NullPool,
    StaticPool,
    SingletonThreadPool,
    AssertionPool,
)
STAYS = (Session, session_record.ATTRIBUTE)
PATCHES = (*sessions.PATCHES, *holds.PATCHES, *statements.PATCHES)


def _class_dicts():
    return {
        (each, name): value
        for each in CLASSES
        for name, value in vars(each).items()
        if name not in ("__abstractmethods__", "_abc_impl") and (each, name) != STAYS
    }


def _listeners():
    """Every class-level listener there is, of every event of sessions, engines and pools.

    Those of a first watch stay, so that there is one before they are looked at; a sessionmaker's
    own class is not looked at, as it inherits them with its first session.
    """
    SessionWatch().start().stop()
    found = {}
    for target in (Session, Engine, Pool):
        for name in target.dispatch._event_names:
            for each, listeners in getattr(target.dispatch, name)._clslevel.items():
                if listeners and (each is Session or not issubclass(each, Session)):
                    found[each, name] = list(listeners)
    return found


def test_stop_restores_every_method(make_session):
    classes, listeners = _class_dicts(), _listeners()
    watch = SessionWatch().start()
    assert _class_dicts() != classes
    with make_session() as session:
        session.execute(text("SELECT 1"))
    watch.stop()
    assert _class_dicts() == classes
    assert _listeners() == listeners


def test_each_event_has_one_listener_of_ours_however_often_it_starts():
    _listeners()
    for target, name, listener in (*sessions.LISTENERS, *holds.LISTENERS):
        heard = getattr(target.dispatch, name)._clslevel[target]
        assert list(heard).count(listener) == 1


def test_stop_leaves_other_peoples_listeners(make_session):
    heard = []

    def listener(session):
        heard.append(session)

    event.listen(Session, "after_commit", listener)
    listeners = _listeners()
    try:
        SessionWatch().start().stop()
        assert _listeners() == listeners
        with make_session() as session:
            session.commit()
        assert heard == [session]
    finally:
        event.remove(Session, "after_commit", listener)


def test_stop_leaves_no_mark_on_pools(engine, make_session):
    with SessionWatch(), make_session() as session:
        session.execute(text("SELECT 1"))
    assert [name for name in vars(engine.pool) if "sessionwatch" in name] == []


def test_nested_starts_need_as_many_stops(make_session, read):
    classes = _class_dicts()
    watch = SessionWatch()
    watch.start()
    watch.start()
    watch.stop()
    assert watch.running
    with make_session():
        pass
    assert read(watch).counts("opened") == {"opened": 1}
    watch.stop()
    assert not watch.running
    assert _class_dicts() == classes


def test_stop_too_many_says_so():
    watch = SessionWatch().start()
    watch.stop()
    with pytest.raises(RuntimeError, match=r"not running: each stop\(\) needs a start\(\)"):
        watch.stop()


def test_watch_can_start_again(make_session, read):
    watch = SessionWatch()
    for _ in range(3):
        with watch, make_session() as session:
            session.execute(text("SELECT 1"))
        with make_session() as session:
            session.execute(text("SELECT 1"))
    assert read(watch).counts("opened", "closed", "statements", "checkouts", "checkins") == {
        "opened": 3,
        "closed": 3,
        "statements": 3,
        "checkouts": 3,
        "checkins": 3,
    }


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first first", "last first"])
def test_two_watches_stop_in_any_order(make_session, read, order):
    classes, listeners = _class_dicts(), _listeners()
    watches = [SessionWatch().start(), SessionWatch().start()]
    watches[order[0]].stop()
    assert _class_dicts() != classes
    with make_session():
        pass
    assert read(watches[order[1]]).counts("opened", "closed") == {"opened": 1, "closed": 1}
    watches[order[1]].stop()
    assert _class_dicts() == classes
    assert _listeners() == listeners


def test_methods_keep_their_names_and_signatures(watch):
    import inspect

    assert Session.close.__name__ == "close"
    assert Session.__init__.__doc__
    assert "bind" in inspect.signature(Session).parameters
    assert "isolation_level" not in inspect.signature(Connection.execute).parameters
    assert "parameters" in inspect.signature(Connection.execute).parameters


@pytest.mark.parametrize(
    "patch", PATCHES, ids=lambda patch: f"{patch._owner.__name__}.{patch._name}"
)
class TestSomebodyElseWraps:
    """Another tool wraps the same method after us, as tracing tools do."""

    @pytest.fixture
    def wrap(self, patch):
        """Wrap the method as another tool would; returns how to take the wrapper off."""
        cls, name = patch._owner, patch._name
        original = cls.__dict__[name]
        wrapped = []

        def put_on():
            ours = cls.__dict__[name]

            @functools.wraps(ours)
            def theirs(*arguments, **options):
                return ours(*arguments, **options)

            wrapped.append(theirs)
            setattr(cls, name, theirs)
            return lambda: setattr(cls, name, ours)

        yield put_on
        setattr(cls, name, original)

    def test_stop_leaves_theirs_in_place_and_ours_silent(self, patch, wrap, make_session, read):
        watch = SessionWatch().start()
        wrap()
        theirs = patch._owner.__dict__[patch._name]
        watch.stop()
        assert patch._owner.__dict__[patch._name] is theirs
        self._use(make_session)
        assert read(watch).counts() == {}

    def test_start_after_that_counts_once(self, patch, wrap, make_session, read):
        SessionWatch().start()
        wrap()
        theirs = patch._owner.__dict__[patch._name]
        _stop_all()
        with SessionWatch() as watch:
            self._use(make_session)
        self._check(read(watch))
        assert patch._owner.__dict__[patch._name] is theirs

    def test_start_after_they_unwrapped_counts_once(self, patch, wrap, make_session, read):
        classes = _class_dicts()
        SessionWatch().start()
        unwrap = wrap()
        _stop_all()
        unwrap()
        with SessionWatch() as watch:
            self._use(make_session)
        self._check(read(watch))
        assert _class_dicts() == classes

    def test_they_unwrap_while_we_watch(self, patch, wrap, make_session, read):
        classes = _class_dicts()
        with SessionWatch() as watch:
            unwrap = wrap()
            self._use(make_session)
            unwrap()
        self._check(read(watch))
        assert _class_dicts() == classes

    @staticmethod
    def _use(make_session):
        with make_session() as session:
            session.execute(text("SELECT 1"))
            session.connection().scalar(text("SELECT 1"))
            session.connection().exec_driver_sql("SELECT 1")

    @staticmethod
    def _check(seen):
        assert seen.counts("opened", "closed", "statements", "checkouts", "checkins") == {
            "opened": 1,
            "closed": 1,
            "statements": 3,
            "checkouts": 1,
            "checkins": 1,
        }


def _stop_all():
    from sessionwatch.instruments.attribution import _running

    for watch in list(_running):
        watch.stop()


def test_connection_out_at_stop_confuses_no_later_watch(make_session, engine, read):
    first = SessionWatch().start()
    session = make_session()
    session.execute(text("SELECT 1"))
    first.stop()
    session.close()
    with SessionWatch() as second:
        with make_session() as session:
            session.execute(text("SELECT 1"))
        assert read(second).pool["checked_out"] == 0
        assert read(second).counts("checkouts", "checkins") == {"checkouts": 1, "checkins": 1}


def test_connection_out_over_a_restart_comes_back_unharmed(make_session, engine, read):
    first = SessionWatch().start()
    session = make_session()
    session.execute(text("SELECT 1"))
    first.stop()
    with SessionWatch() as second:
        session.close()
        assert engine.pool.checkedout() == 0
        with make_session() as session:
            session.execute(text("SELECT 1"))
        assert read(second).pool["checked_out"] == 0


def test_stopped_watch_is_not_kept_alive_by_a_pooled_connection(make_session):
    watch = SessionWatch().start()
    session = make_session()
    session.execute(text("SELECT 1"))
    watch.stop()
    session.close()
    reference = weakref.ref(watch)
    del watch, session
    gc.collect()
    assert reference() is None


def test_only_the_classes_are_touched(engine, make_session):
    """Engines pay for listeners on the Engine, so there must be none."""
    with SessionWatch():
        assert not [key for key in _listeners() if issubclass(key[0], Engine)]
        assert not engine._has_events or not Engine._has_events
        assert not Engine._has_events


def test_sessionmaker_made_while_watching_works_after(engine):
    with SessionWatch():
        make_session = sessionmaker(engine)
    with make_session() as session:
        assert session.scalar(text("SELECT 1")) == 1
