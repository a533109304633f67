"""What fails of ours, outside the hooks, is counted and stays ours."""

from __future__ import annotations

import gc
import logging

import pytest
from sqlalchemy import select

from sessionwatch.records.owner import Owner
from sessionwatch.rules import catalog, sw103

pytestmark = pytest.mark.usefixtures("expects_internal_errors")

ONE = select(1)


def test_rule_that_raises_is_counted_and_the_others_are_heard(
    watch, seen, make_session, models, monkeypatch
):
    def raises(owner):
        raise ZeroDivisionError

    monkeypatch.setitem(catalog.OWNER_RULES, "SW101", raises)
    with watch.owner("job"):
        leaked = make_session()
        leaked.execute(ONE)
        with make_session() as session:
            session.add(models.Item(name="a"))
            session.flush()
    leaked.close()
    assert watch.active_owners() == 0
    assert seen.snapshot.internal_errors["count"] == 1
    assert seen.codes == ["SW203"]
    assert seen.totals["owners"] == 1


@pytest.mark.parametrize("kind", ["session", "core"])
def test_rule_that_raises_over_what_was_collected(
    watch, seen, engine, make_session, monkeypatch, kind
):
    def raises(record):
        raise ZeroDivisionError

    monkeypatch.setattr(sw103, "check_session", raises)
    monkeypatch.setattr(sw103, "check_connection", raises)
    if kind == "session":
        make_session().execute(ONE)
    else:
        engine.connect().execute(ONE)
    gc.collect()
    assert seen.snapshot.internal_errors["count"] == 1
    assert seen.snapshot.internal_errors["count"] == 1
    assert seen.counts("checkouts", "checkins") == {"checkouts": 1, "checkins": 1}


def test_route_that_cannot_be_told(watch, seen, make_session, monkeypatch):
    def raises(owner):
        raise ZeroDivisionError

    monkeypatch.setattr(Owner, "locate", raises)
    with watch.owner("GET (no route)", kind="request"):
        with make_session():
            pass
        assert seen.counts("opened") == {"opened": 1}
    assert watch.active_owners() == 0
    assert list(seen.snapshot.routes) == ["GET (no route)"]
    assert seen.snapshot.internal_errors["count"] > 0


@pytest.mark.parametrize("part", ["handler", "filter"])
def test_log_handler_that_raises(watch, seen, make_session, part):
    logger = logging.getLogger("sessionwatch")

    class Raises(logging.Handler):
        def emit(self, record):
            raise ZeroDivisionError("theirs")

    def refuse(record):
        raise ZeroDivisionError("theirs")

    handler = Raises()
    logger.addHandler(handler) if part == "handler" else logger.addFilter(refuse)
    try:
        with watch.owner("job"):
            session = make_session()
            session.execute(ONE)
    finally:
        logger.removeHandler(handler)
        logger.removeFilter(refuse)
    session.close()
    assert watch.active_owners() == 0
    assert seen.codes == ["SW101"]


def test_failure_is_logged_once_for_each_hook(watch, seen, log):
    for hook in ("first", "first", "second", "first"):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            watch.hook_failed(hook)
    messages = [record.getMessage() for record in log.records]
    assert ["first" in message for message in messages] == [True, False]
    assert ["second" in message for message in messages] == [False, True]
    assert seen.snapshot.internal_errors == {
        "count": 4,
        "by_hook": {"first": 3, "second": 1},
    }
