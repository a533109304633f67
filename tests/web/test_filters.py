"""What each filter leaves, of a report whose rows are made up."""

import pytest

from sessionwatch.web.filters import Filters, narrow


class Rows(list):
    """Open sessions, as a snapshot has them."""

    def of(self, owner):
        return Rows(row for row in self if row["owner"]["name"] == owner)

    def matching(self, text):
        return Rows(row for row in self if text.casefold() in row["owner"]["name"].casefold())

    def longest_idle_first(self):
        return Rows(reversed(self))

    def owners(self):
        return {row["owner"]["name"] for row in self}


def row(name, code="SW101", last_seen="2026-01-01T00:00:00.000+00:00", message=""):
    return {
        "owner": {"name": name},
        "code": code,
        "name": "session-leak",
        "message": message,
        "last_seen": last_seen,
    }


def report(findings=(), open_sessions=(), routes=()):
    return {
        "totals": {"opened": 9},
        "routes": {name: {} for name in routes},
        "findings": list(findings),
        "open_sessions": Rows(open_sessions),
    }


def narrowed(whole, **asked):
    narrow(whole, Filters(**asked))
    del whole["matching"]
    return whole


def matching(whole, **asked):
    narrow(whole, Filters(**asked))
    return whole["matching"]


def test_without_filters_nothing_is_left_out():
    whole = report([row("GET /a"), row("GET /b")], [row("GET /a")], ["GET /a", "GET /b"])
    assert narrowed(whole) == report(
        [row("GET /a"), row("GET /b")], [row("GET /a")], ["GET /a", "GET /b"]
    )


def test_a_route_narrows_routes_and_both_lists_but_no_totals():
    whole = report([row("GET /a"), row("GET /b")], [row("GET /b")], ["GET /a", "GET /b"])
    assert narrowed(whole, route="GET /a") == report([row("GET /a")], [], ["GET /a"])


def test_a_code_narrows_findings_alone():
    whole = report([row("GET /a", "SW101"), row("GET /a", "SW203")], [row("GET /a")], ["GET /a"])
    left = narrowed(whole, code="SW203")
    assert [finding["code"] for finding in left["findings"]] == ["SW203"]
    assert len(left["open_sessions"]) == len(left["routes"]) == 1


def test_the_limit_keeps_the_findings_seen_last_and_the_sessions_opened_first():
    days = [f"2026-01-0{day}T00:00:00.000+00:00" for day in (2, 3, 1)]
    whole = report(
        [row("GET /a", last_seen=day) for day in days], [row("first"), row("second"), row("third")]
    )
    left = narrowed(whole, limit=2)
    assert [finding["last_seen"] for finding in left["findings"]] == [days[1], days[0]]
    assert [session["owner"]["name"] for session in left["open_sessions"]] == ["first", "second"]


def test_the_limit_counts_what_the_other_filters_let_through():
    whole = report([row("GET /a"), row("GET /b"), row("GET /b")])
    assert len(narrowed(whole, route="GET /b", limit=2)["findings"]) == 2


@pytest.mark.parametrize("route", ["/items", "/", "get /items"])
def test_a_path_without_a_method_in_capitals_is_refused(route):
    with pytest.raises(ValueError, match="begin it with the method in capitals"):
        narrowed(report(), route=route)


@pytest.mark.parametrize("route", [" ", "\t\n"])
def test_a_blank_route_is_refused(route):
    with pytest.raises(ValueError, match="route is blank"):
        narrowed(report(), route=route)


@pytest.mark.parametrize("route", ["nightly import", "GET /new", "process", "(other)", "a/b"])
def test_a_name_that_may_come_yet_is_empty(route):
    assert narrowed(report([row("GET /a")], routes=["GET /a"]), route=route) == report()


def test_a_job_that_is_called_like_a_path_is_found():
    assert narrowed(report(routes=["/import"]), route="/import")["routes"] == {"/import": {}}
    assert narrowed(report([row("/import")]), route="/import")["findings"] == [row("/import")]


def test_a_search_looks_at_names_codes_and_messages():
    whole = report(
        [row("GET /a", message="opened at shop.py:3"), row("GET /b", code="SW203")],
        [row("GET /a"), row("POST /a")],
        ["GET /a", "POST /b"],
    )
    left = narrowed(whole, search="post")
    assert [session["owner"]["name"] for session in left["open_sessions"]] == ["POST /a"]
    assert (list(left["routes"]), left["findings"]) == (["POST /b"], [])


@pytest.mark.parametrize(
    ("text", "found"), [("SHOP.PY", 1), ("sw203", 1), ("/", 2), ("nowhere", 0)]
)
def test_a_search_does_not_look_at_case(text, found):
    whole = report([row("GET /a", message="opened at shop.py:3"), row("GET /b", code="SW203")])
    assert len(narrowed(whole, search=text)["findings"]) == found


def test_pages_are_cut_from_what_the_other_filters_let_through():
    names = [f"GET /{number}" for number in range(10)]
    left = narrowed(report(open_sessions=map(row, names)), offset=4, limit=3)
    assert [session["owner"]["name"] for session in left["open_sessions"]] == names[4:7]
    assert narrowed(report(open_sessions=map(row, names)), offset=10)["open_sessions"] == []


def test_the_longest_idle_come_first_when_asked_for():
    left = narrowed(report(open_sessions=[row("first"), row("second")]), sort="idle", limit=1)
    assert [session["owner"]["name"] for session in left["open_sessions"]] == ["second"]


def test_what_matches_is_counted_beyond_the_page():
    whole = report([row("GET /a")] * 3, [row("GET /a"), row("GET /a"), row("GET /b")])
    assert matching(whole, route="GET /a", limit=1) == {"open_sessions": 2, "findings": 3}
