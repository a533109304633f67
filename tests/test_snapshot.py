"""The snapshot: plain, JSON-ready, the same after a round trip, and mergeable."""

from __future__ import annotations

import copy
import gc
import json
import random
from collections import Counter

import pytest
from sqlalchemy import select

from sessionwatch import Settings, Snapshot
from sessionwatch.records.counts import COUNT_NAMES

ONE = select(1)
KEYS = [
    "totals",
    "routes",
    "open_sessions",
    "findings",
    "pools",
    "settings",
    "internal_errors",
    "unused_ignores",
    "dropped",
]
SUMS = {
    "owners",
    "opened",
    "closed",
    "collected",
    "open",
    "leaked",
    "committed",
    "savepoints_released",
    "rolled_back",
    "discarded",
    "flushes",
    "statements",
    "writes",
    "checkouts",
    "checkins",
    "held_seconds",
    "idle_seconds",
}
QUANTILES = {"held_p50_seconds", "held_p99_seconds"}
TOTALS = {*SUMS, *QUANTILES, "held_histogram"}
FINDING = {
    "code",
    "name",
    "severity",
    "evidence",
    "message",
    "cause",
    "fix",
    "count",
    "owner",
    "opened_at",
    "stack",
    "related",
    "details",
    "first_seen",
    "last_seen",
}


@pytest.fixture
def take(make_watch, make_session, clock, models):
    """Take a snapshot of a watch that has seen one of each: routes, leaks, findings."""
    number = 0

    def take(leaks=1):
        nonlocal number
        watch = make_watch(Settings(token="hush"))
        sessions = []
        for name in ("import", "export"):
            with watch.owner(name), make_session() as session:
                number += 1
                session.add(models.Item(name=str(number)))
                session.commit()
            for _ in range(leaks):
                with watch.owner(name):
                    sessions.append(make_session())
        with make_session() as session:
            session.execute(ONE)
            clock.advance(1.25)
        with watch.owner("leak"):
            sessions.append(make_session())
            sessions[-1].execute(ONE)
            clock.advance(0.5)
        snapshot = watch.snapshot()
        for session in sessions:
            session.close()
        watch.stop()
        return snapshot

    return take


def test_keys(take):
    plain = take().to_dict()
    assert list(plain) == KEYS
    assert set(plain["totals"]) == TOTALS
    assert all(set(route) == TOTALS for route in plain["routes"].values())
    assert all(set(finding) == FINDING for finding in plain["findings"])
    assert set(plain["internal_errors"]) == {"count", "by_hook"}
    assert plain["findings"], plain["open_sessions"]


def _added(histograms):
    """Return histograms added up, step by step."""
    return dict(sum(map(Counter, histograms), Counter()))


def test_totals_are_the_sum_of_the_routes(take):
    plain = take().to_dict()
    for name in SUMS:
        routes = (route[name] for route in plain["routes"].values())
        assert plain["totals"][name] == pytest.approx(sum(routes))
    held = [route["held_histogram"] for route in plain["routes"].values()]
    assert plain["totals"]["held_histogram"] == _added(held)
    assert plain["totals"]["opened"] == 6
    assert plain["totals"]["open"] == len(plain["open_sessions"]) == 3
    assert plain["totals"]["committed"] == 2
    assert plain["totals"]["held_seconds"] == 1.75


def test_json_holds_it(take):
    plain = take().to_dict()
    assert json.loads(json.dumps(plain)) == plain


def test_round_trip(take):
    snapshot = take()
    plain = json.loads(json.dumps(snapshot.to_dict()))
    again = Snapshot.from_dict(plain)
    assert again == snapshot
    assert again.to_dict() == plain


def test_round_trip_keeps_every_nanosecond(take):
    snapshot = take()
    random_numbers = random.Random(7)
    for route in snapshot.routes.values():
        for name in COUNT_NAMES:
            setattr(route.counts, name, random_numbers.randrange(10**15))
    assert Snapshot.from_dict(snapshot.to_dict()) == snapshot


def test_round_trip_of_an_empty_snapshot(watch):
    snapshot = watch.snapshot()
    assert Snapshot.from_dict(snapshot.to_dict()) == snapshot


def test_token_is_not_shown(take):
    plain = take().to_dict()
    assert plain["settings"]["token"] == "set"
    assert "hush" not in json.dumps(plain)


def test_merge_adds_up(take):
    one, two = take(), take(leaks=2)
    merged = one.merge(two)
    plain, first, second = merged.to_dict(), one.to_dict(), two.to_dict()
    assert list(plain) == KEYS
    for name in SUMS:
        expected = first["totals"][name] + second["totals"][name]
        assert plain["totals"][name] == pytest.approx(expected)
    held = [first["totals"]["held_histogram"], second["totals"]["held_histogram"]]
    assert plain["totals"]["held_histogram"] == _added(held)
    assert set(plain["routes"]) == {"import", "export", "leak", "process"}
    assert plain["routes"]["import"]["opened"] == 5
    assert len(plain["open_sessions"]) == len(first["open_sessions"] + second["open_sessions"])
    assert len(plain["pools"]) == len(first["pools"] + second["pools"])


def test_merge_counts_the_same_findings_together(take):
    one, two = take(), take(leaks=2)
    merged = one.merge(two)
    counts = {(each["code"], each["owner"]["name"]): each["count"] for each in merged.findings}
    assert counts == {("SW107", "import"): 3, ("SW107", "export"): 3, ("SW101", "leak"): 2}
    for finding in merged.findings:
        assert finding["first_seen"] < finding["last_seen"]


def test_merge_keeps_different_findings_apart(take):
    one, two = take(), take()
    two.findings[0]["owner"] = {**two.findings[0]["owner"], "name": "another"}
    two.findings[1]["opened_at"] = None
    assert len(one.merge(two).findings) == len(one.findings) + 2


def test_merge_does_not_hide_the_worse_of_two(take):
    one, two = take(), take()
    one.findings[0] |= {"severity": "warning", "evidence": "suspect"}
    two.findings[0] |= {"severity": "error", "evidence": "lost work"}
    for merged in (one.merge(two), two.merge(one)):
        severities = {each["severity"] for each in merged.findings if each["code"] == "SW107"}
        assert "error" in severities


def test_merge_adds_internal_errors(take):
    one, two = take(), take()
    one.internal_errors = {"count": 3, "by_hook": {"a": 1, "b": 2}}
    two.internal_errors = {"count": 5, "by_hook": {"b": 5}}
    assert one.merge(two).internal_errors == {"count": 8, "by_hook": {"a": 1, "b": 7}}


def test_merge_calls_an_ignore_unused_only_if_it_is_in_both(take):
    one, two = take(), take()
    one.unused_ignores, two.unused_ignores = ["SW101", "SW2"], ["SW2", "GET /a=SW301"]
    assert one.merge(two).unused_ignores == two.merge(one).unused_ignores == ["SW2"]


def test_merge_adds_what_was_dropped(take):
    one, two = take(), take()
    one.dropped, two.dropped = {"routes": 1, "stacks": 2}, {"routes": 3, "owners": 4}
    assert one.merge(two).dropped == {"routes": 4, "stacks": 2, "owners": 4}


def test_snapshot_of_before_there_were_bounds(take):
    plain = take().to_dict()
    del plain["dropped"]
    assert Snapshot.from_dict(plain).dropped == {}


def test_snapshot_of_before_there_were_ignores(take):
    plain = take().to_dict()
    del plain["unused_ignores"]
    assert Snapshot.from_dict(plain).unused_ignores == []


def test_merge_changes_neither(take):
    one, two = take(), take()
    before = copy.deepcopy((one.to_dict(), two.to_dict()))
    merged = one.merge(two)
    merged.merge(one)
    for route in merged.routes.values():
        route.counts.opened += 100
    for finding in merged.findings:
        finding["count"] += 100
    assert (one.to_dict(), two.to_dict()) == before


def test_merge_is_associative_and_has_a_neutral_element(take):
    one, two, three = take(), take(), take()
    left = one.merge(two).merge(three).to_dict()
    right = one.merge(two.merge(three)).to_dict()
    assert left == right
    empty = Snapshot({}, [], [], [], {}, {"count": 0, "by_hook": {}})
    assert one.merge(empty).to_dict() == one.to_dict()


def test_merge_after_a_round_trip(take):
    one, two = take(), take()
    again = Snapshot.from_dict(json.loads(json.dumps(two.to_dict())))
    assert one.merge(again).to_dict() == one.merge(two).to_dict()


def test_snapshot_is_a_copy(watch, make_session):
    before = watch.snapshot()
    plain = copy.deepcopy(before.to_dict())
    with watch.owner("job"):
        session = make_session()
    assert before.to_dict() == plain
    session.close()


def test_totals_alone_are_those_of_a_snapshot(watch, make_session):
    kept = []
    with watch.owner("job"):
        for keeps in (True, False):
            session = make_session()
            session.execute(ONE)
            if keeps:
                kept.append(session)
    del session
    gc.collect()
    totals = watch.totals()
    assert totals.counts.collected == 1
    assert totals.counts.opened == 2
    assert totals.owners == watch.snapshot().totals.owners == 1
