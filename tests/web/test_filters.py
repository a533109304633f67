"""What each filter leaves, of a report whose rows are made up."""

import pytest

from sessionwatch.web.filters import narrow


def row(name, code="SW101", last_seen="2026-01-01T00:00:00.000+00:00"):
    return {"owner": {"name": name}, "code": code, "last_seen": last_seen}


def report(findings=(), open_sessions=(), routes=()):
    return {
        "totals": {"opened": 9},
        "routes": {name: {} for name in routes},
        "findings": list(findings),
        "open_sessions": list(open_sessions),
    }


def narrowed(whole, route=None, code=None, limit=100):
    narrow(whole, route=route, code=code, limit=limit)
    return whole


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
