"""The page as a client reads it: what it says, to whom, and how it is narrowed."""

import asyncio
import threading

import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import event

import sessionwatch

from .conftest import KEYS, PATH, SECRET, ask


def test_the_stable_keys(report):
    assert set(report) == KEYS


def test_totals_and_routes(report):
    assert report["totals"]["opened"] == 2
    assert report["totals"]["closed"] == 1
    assert report["totals"]["open"] == 1
    assert report["routes"]["GET /fine"]["closed"] == 1
    assert report["routes"]["GET /notes/{number}"]["open"] == 1


def test_the_open_session(report):
    (session,) = report["open_sessions"]
    assert session["owner"]["route"] == "GET /notes/{number}"
    assert session["owner"]["status"] == 404
    assert session["state"] == "in transaction"
    assert session["owner_ended"] is True
    assert session["age_seconds"] >= session["idle_seconds"] > 0
    assert session["connections_out"] == 1
    assert session["uncommitted_writes"] == 1
    assert session["last_statement"].startswith("INSERT INTO web_notes")
    assert session["opened_at"]["function"] == "get_db"
    assert session["opened_at"]["file"].endswith("conftest.py")


def test_the_finding(report):
    (finding,) = report["findings"]
    assert finding["code"] == "SW101"
    assert finding["name"] == "session-leak"
    assert (finding["severity"], finding["evidence"]) == ("error", "proof")
    assert finding["message"].startswith("SW101 session leak: GET /notes/{number} opened a session")
    assert finding["fix"].startswith("Close the session")
    assert finding["count"] == 1
    assert finding["owner"]["kind"] == "request"
    assert finding["opened_at"]["function"] == "get_db"
    assert finding["stack"][0] == {**finding["opened_at"], "origin": "application"}


def test_pools_settings_and_internal_errors(report):
    (pool,) = report["pools"]
    assert pool["name"].startswith("sqlite:///")
    assert (pool["class"], pool["size"], pool["checked_out"]) == ("QueuePool", 5, 1)
    assert report["settings"]["stacks"] == "caller"
    assert report["settings"]["token"] is None
    assert report["internal_errors"] == {"count": 0, "by_hook": {}}


def test_no_parameter_of_any_statement_and_no_body(app):
    ask(app, "/notes/7")
    text = ask(app).text
    assert text.replace(f"{SECRET}.db", "").count(SECRET) == 0


def test_reading_the_page_is_no_owner_with_sessions(app):
    for _ in range(3):
        assert ask(app).json()["routes"] == {}


def test_it_is_never_stored(app):
    assert ask(app).headers["cache-control"] == "no-store"


def test_a_name_that_utf_8_cannot_hold_is_answered_still(leaky, watch_settings, create_session):
    """`os.listdir` gives such names to files whose bytes are not valid UTF-8."""
    name = b"import caf\xe9.csv".decode("utf-8", "surrogateescape")
    watch = sessionwatch.install(leaky, watch_settings)
    try:
        with watch.owner(name), create_session():
            pass
        answer = ask(leaky)
        assert answer.status_code == 200
        assert answer.json()["routes"][name]["closed"] == 1
    finally:
        watch.stop()


def test_it_takes_no_connection(app, create_session):
    ask(app, "/notes/7")
    taken = []
    event.listen(create_session.kw["bind"], "checkout", lambda *_: taken.append(1))
    first, second = ask(app).json(), ask(app).json()
    assert taken == []
    for number in ("statements", "checkouts", "opened", "owners"):
        assert first["totals"][number] == second["totals"][number] == 1


def test_it_answers_while_all_threads_of_sync_handlers_wait(app):
    waiting, go_on = threading.Semaphore(0), threading.Event()

    @app.get("/wait")
    def wait():
        waiting.release()
        go_on.wait(30)

    async def read_meanwhile():
        current_default_thread_limiter().total_tokens = 2
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            handlers = [asyncio.create_task(client.get("/wait")) for _ in range(2)]
            for _ in handlers:
                assert await asyncio.to_thread(waiting.acquire, timeout=10)
            try:
                return await asyncio.wait_for(client.get(PATH), 10)
            finally:
                go_on.set()
                await asyncio.gather(*handlers)

    assert asyncio.run(read_meanwhile()).status_code == 200


class TestFilters:
    def test_by_route(self, app, report):
        only = ask(app, params={"route": "GET /fine"}).json()
        assert list(only["routes"]) == ["GET /fine"]
        assert only["open_sessions"] == only["findings"] == []
        assert only["totals"]["opened"] == 2
        other = ask(app, params={"route": "GET /notes/{number}"}).json()
        assert len(other["open_sessions"]) == len(other["findings"]) == 1

    def test_by_code(self, app, report):
        assert len(ask(app, params={"code": "SW101"}).json()["findings"]) == 1
        assert ask(app, params={"code": "SW203"}).json()["findings"] == []

    def test_by_number(self, app):
        for number in range(3):
            ask(app, f"/looks/{number}")
        assert len(ask(app).json()["open_sessions"]) == 3
        assert len(ask(app, params={"limit": 2}).json()["open_sessions"]) == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            {"limit": "0"},
            {"limit": "-1"},
            {"limit": "1001"},
            {"limit": "x"},
            {"code": "SW1"},
            {"code": ""},
            {"route": ""},
            {"route": "  "},
            {"route": "/fine"},
            {"route": "get /fine"},
            {"route": "x" * 501},
        ],
    )
    def test_a_wrong_value_is_refused_by_name(self, app, wrong):
        answer = ask(app, params=wrong)
        assert answer.status_code == 422
        (detail,) = answer.json()["detail"]
        assert detail["loc"] == ["query", *wrong]
        assert detail["msg"]

    def test_a_path_without_its_method_is_told_what_to_add(self, app):
        (detail,) = ask(app, params={"route": "/fine"}).json()["detail"]
        assert "begin it with the method in capitals" in detail["msg"]

    def test_a_route_that_was_not_asked_for_yet_is_empty(self, app, report):
        only = ask(app, params={"route": "GET /looks/{number}"}).json()
        assert only["routes"] == {}
        assert only["open_sessions"] == only["findings"] == []
