"""Applications that patch Session themselves, or override its methods in odd ways."""

from __future__ import annotations

import gc

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from sessionwatch import SessionWatch, Settings

ONE = select(1)
QUIET = Settings(log_findings=False)
METHODS = ("__init__", "close", "reset", "invalidate")


def wrapped(method, calls):
    def theirs(self, *arguments, **options):
        calls.append(method.__name__)
        return method(self, *arguments, **options)

    return theirs


@pytest.fixture
def calls():
    """The names of what an application's own patch was called for."""
    return []


@pytest.fixture
def patch(monkeypatch, calls):
    """Patch a method of Session as an application does."""

    def patch(name):
        monkeypatch.setattr(Session, name, wrapped(vars(Session)[name], calls))

    return patch


def use(session_class, engine):
    session = session_class(engine)
    session.execute(ONE)
    session.reset()
    session.execute(ONE)
    session.invalidate()
    session.execute(ONE)
    session.close()


def expected_calls(times):
    return sorted(["__init__", "reset", "invalidate", "close"] * times)


def test_patched_before(calls, patch, engine, truth, unharmed):
    for name in METHODS:
        patch(name)
    theirs = {name: vars(Session)[name] for name in METHODS}
    with SessionWatch(QUIET) as watch:
        use(truth.session_class, engine)
        unharmed(watch, engine)
    assert {name: vars(Session)[name] for name in METHODS} == theirs
    use(truth.session_class, engine)
    assert sorted(set(calls)) == sorted(METHODS)


def test_patched_meanwhile(calls, patch, engine, truth, unharmed):
    """Their patch lies over ours, which stays below it, silent, when the watch stops."""
    watch = SessionWatch(QUIET).start()
    for name in METHODS:
        patch(name)
    theirs = {name: vars(Session)[name] for name in METHODS}
    use(truth.session_class, engine)
    watch.stop()
    seen = unharmed(watch, engine)["opened"]
    assert {name: vars(Session)[name] for name in METHODS} == theirs
    use(truth.session_class, engine)
    assert watch.snapshot().totals.counts.opened == seen == 1
    with watch:
        use(truth.session_class, engine)
    unharmed(watch, engine, opened=2)
    assert calls.count("__init__") == 3


def test_patched_again_and_again(patch, engine, truth, unharmed):
    """Each session is counted once, however many layers there are."""
    watch = SessionWatch(QUIET)
    for turn in range(1, 6):
        with watch:
            patch("close")
            use(truth.session_class, engine)
            unharmed(watch, engine, opened=turn)
        patch("__init__")


class BrokenError(Exception):
    pass


def overriding(base):
    class ClosesTwice(base):
        def close(self):
            super().close()
            super().close()

    class NeverCloses(base):
        def close(self):
            """Do nothing, as some test suites have it."""

    class RaisesAfterwards(base):
        def close(self):
            super().close()
            raise BrokenError

    class RaisesBefore(base):
        def close(self):
            raise BrokenError

    class WorksInClose(base):
        def close(self):
            self.execute(ONE)
            self.rollback()
            self.expunge_all()
            super().close()

    class OpensInInit(base):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.execute(ONE)

    class HasSlotsOfItsOwn(base):
        def __setattr__(self, name, value):
            if name == "forbidden":
                raise BrokenError
            object.__setattr__(self, name, value)

    class RefusesOurs(base):
        def __setattr__(self, name, value):
            if name.startswith("_sessionwatch"):
                raise BrokenError
            object.__setattr__(self, name, value)

    class SaysItIsEqual(base):
        __hash__ = None

        def __eq__(self, other):
            raise BrokenError

    class HasAWildGetattr(base):
        def __getattr__(self, name):
            raise BrokenError(name)

    return {name: each for name, each in locals().items() if isinstance(each, type)}


NAMES = sorted(name for name in overriding(Session) if name != "base")
NOT_RECORDED = "RefusesOurs"


def tried(action):
    try:
        return action()
    except BrokenError:
        return BrokenError


def script(session_class, engine):
    """Use a session and close it; returns what the application sees of it."""
    session = session_class(engine)
    seen = [session.scalar(ONE), tried(lambda: session.close())]
    seen.append(engine.pool.checkedout())
    session.execute(text("INSERT INTO item (name) SELECT 'a' WHERE 0"))
    seen.append(tried(lambda: session.close()))
    Session.close(session)
    seen.append(engine.pool.checkedout())
    return seen


@pytest.mark.usefixtures("expects_internal_errors")
@pytest.mark.parametrize("inside", ["process", "job"])
@pytest.mark.parametrize("name", NAMES)
def test_overridden_methods(engine, truth, unharmed, caplog, name, inside):
    caplog.set_level("CRITICAL", logger="sessionwatch")  # its records would keep the frames alive
    expected = script(overriding(Session)[name], engine)
    gc.collect()
    with SessionWatch(QUIET) as watch:
        session_class = overriding(truth.session_class)[name]
        if inside == "job":
            with watch.owner("job"):
                seen = script(session_class, engine)
        else:
            seen = script(session_class, engine)
        assert seen == expected
        refused = name == NOT_RECORDED
        errors = watch.snapshot().internal_errors["count"]
        assert (errors > 0) is refused
        unharmed(watch, engine, opened=None if refused else 1, errors=errors)


def test_close_overridden_on_the_object(engine, truth, unharmed):
    """As test suites do it, to keep a session open over what closes it."""
    with SessionWatch(QUIET) as watch:
        session = truth.session_class(engine)
        session.execute(ONE)
        session.close = lambda: None
        session.close()
        assert watch.snapshot().totals.counts.open == 1
        del session.close
        session.close()
        del session
        unharmed(watch, engine)
