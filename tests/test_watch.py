"""The watch: whom sessions are counted under, and several watches at once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from sessionwatch import Owner, SessionWatch, SessionWatchMiddleware

ONE = select(1)


def test_sessions_outside_of_any_owner_belong_to_the_process(seen, make_session):
    with make_session() as session:
        session.execute(ONE)
    assert list(seen.snapshot.routes) == ["process"]
    assert seen.totals["owners"] == 0


def test_process_owner_shows_in_open_sessions(seen, make_session):
    session = make_session()
    (shown,) = seen.snapshot.open_sessions
    session.close()
    assert (shown["owner"]["kind"], shown["owner"]["route"]) == ("process", None)


def test_owner_is_what_its_sessions_are_counted_under(watch, seen, make_session):
    with watch.owner("nightly import") as owner, make_session():
        assert isinstance(owner, Owner)
        assert watch.active_owners() == 1
    with make_session():
        pass
    assert watch.active_owners() == 0
    routes = seen.snapshot.to_dict()["routes"]
    assert routes["nightly import"]["opened"] == routes["process"]["opened"] == 1
    assert routes["nightly import"]["owners"] == seen.totals["owners"] == 1


@pytest.mark.parametrize("sessions", [1, 3, 500])
def test_owners_are_counted_however_many_sessions_they_had(watch, seen, make_session, sessions):
    for _ in range(2):
        with watch.owner("job"):
            for _ in range(sessions):
                with make_session():
                    pass
    totals = seen.snapshot.to_dict()["routes"]["job"]
    assert (totals["owners"], totals["opened"], totals["closed"]) == (2, 2 * sessions, 2 * sessions)


def test_owner_without_sessions_leaves_no_route(watch, seen):
    with watch.owner("idle"):
        pass
    assert seen.snapshot.routes == {}


def test_owner_kind_and_name_show_in_findings(watch, seen, make_session):
    with watch.owner("test_items", kind="test"):
        session = make_session()
        session.execute(ONE)
    owner = seen.only_finding("SW101")["owner"]
    session.close()
    assert (owner["kind"], owner["name"], owner["route"]) == ("test", "test_items", None)


def test_owners_nest(watch, seen, make_session):
    with watch.owner("outer"):
        with make_session():
            pass
        with watch.owner("inner"), make_session():
            pass
        with make_session():
            pass
    opened = {name: route.counts.opened for name, route in seen.snapshot.routes.items()}
    assert opened == {"outer": 2, "inner": 1}


def test_exception_passes_through_the_owner_unchanged(watch, seen, make_session):
    error = ValueError("mine")
    sessions = []

    def work():
        with watch.owner("job"):
            sessions.append(make_session())
            sessions[0].execute(ONE)
            raise error

    with pytest.raises(ValueError, match="mine") as caught:
        work()
    sessions[0].close()
    assert caught.value is error
    assert seen.only_finding("SW101")["owner"]["error"] == "ValueError"
    assert "mine" not in str(seen.snapshot.to_dict())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_owner_ends_whatever_is_raised(watch, make_session, error):
    with pytest.raises(error), watch.owner("job"), make_session():
        raise error
    assert watch.active_owners() == 0


def test_thread_that_copies_no_context_belongs_to_the_process(watch, seen, make_session):
    def work():
        with make_session():
            pass

    with watch.owner("job"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert list(seen.snapshot.routes) == ["process"]


def test_two_watches_do_not_see_each_others_owners(make_watch, read, make_session):
    first, second = make_watch(), make_watch()
    with first.owner("first"), make_session():
        pass
    with second.owner("second"), make_session():
        pass
    with make_session():
        pass
    assert list(read(first).snapshot.routes) == ["first"]
    assert sorted(read(second).snapshot.routes) == ["process", "second"]


def test_watch_inside_a_watched_owner(make_watch, read, make_session):
    """A test of its own inside a watched application."""
    outer = make_watch()
    with outer.owner("request"):
        with SessionWatch() as inner, inner.owner("test"):
            leaked = make_session()
            leaked.execute(ONE)
        assert read(inner).codes == ["SW101"]
        leaked.close()
        with make_session():
            pass
    assert read(outer).codes == []
    assert read(outer).counts("opened", "closed") == {"opened": 1, "closed": 1}


def test_stopping_inside_an_owner(make_session, read):
    watch = SessionWatch().start()
    with watch.owner("job"):
        with make_session():
            pass
        watch.stop()
        with make_session():
            pass
    assert watch.active_owners() == 0
    assert read(watch).counts("opened") == {"opened": 1}


def test_middleware_is_silent_when_the_watch_is_stopped(make_session, call, read):
    watch = SessionWatch()

    async def app(scope, receive, send):
        with make_session():
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    assert call(SessionWatchMiddleware(app, watch=watch)).text == "ok"
    assert read(watch).counts() == {}


def test_snapshot_of_a_watch_that_never_ran(read):
    assert read(SessionWatch()).counts() == {}


def test_engine_that_cannot_connect_is_the_users_business(watch, seen, tmp_path):
    from sqlalchemy.exc import OperationalError

    engine = create_engine(f"sqlite:///{tmp_path}/no/such/folder/test.db")
    with watch.owner("job"), Session(engine) as session, pytest.raises(OperationalError):
        session.execute(ONE)
    assert seen.counts("opened", "closed", "checkouts") == {
        "opened": 1,
        "closed": 1,
        "checkouts": 0,
    }
    assert seen.codes == []
