"""The page as a client reads it: what it says, to whom, and how it is narrowed."""

import asyncio
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import sessionwatch
from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings
from sessionwatch.web.endpoint import router

from .conftest import PATH, SECRET, ask

KEYS = {
    "totals",
    "routes",
    "open_sessions",
    "findings",
    "pools",
    "settings",
    "internal_errors",
}


@pytest.fixture
def report(app):
    assert ask(app, "/fine").status_code == 200
    assert ask(app, "/notes/7").status_code == 404
    return ask(app).json()


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
        "wrong", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"code": "SW1"}, {"route": ""}]
    )
    def test_a_wrong_value_is_refused_by_name(self, app, wrong):
        answer = ask(app, params=wrong)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["query", *wrong]


class TestStrangers:
    def test_are_refused_with_help_and_nothing_else(self, app, report):
        answer = ask(app, client="203.0.113.9")
        assert answer.status_code == 403
        assert set(answer.json()) == {"detail"}
        assert "Settings(token=...)" in answer.text
        assert "conftest.py" not in answer.text

    def test_are_refused_before_their_filters_are_read(self, app):
        assert ask(app, client="203.0.113.9", params={"limit": "x"}).status_code == 403

    @pytest.mark.parametrize("watch_settings", [Settings(token="key")])
    def test_come_in_with_the_token(self, app):
        there = {"client": "203.0.113.9", "base_url": "http://app.test"}
        assert ask(app, **there).status_code == 403
        answer = ask(app, **there, headers={"Authorization": "Bearer key"})
        assert answer.status_code == 200
        assert answer.json()["settings"]["token"] == "set"


def test_openapi_describes_it(app):
    schema = ask(app, "/openapi.json").json()
    operation = schema["paths"][PATH]["get"]
    assert [each["name"] for each in operation["parameters"]] == ["route", "code", "limit"]
    assert all(each["description"] for each in operation["parameters"])
    assert set(operation["responses"]) == {"200", "403", "422"}
    report = schema["components"]["schemas"]["SessionsReport"]
    assert set(report["properties"]) == KEYS


def test_under_plain_starlette(create_session):
    def plain(request):
        with create_session():
            return PlainTextResponse("plain")

    app = Starlette(routes=[Route("/plain", plain)])
    watch = sessionwatch.install(app)
    try:
        assert ask(app, "/plain").text == "plain"
        answer = ask(app)
        assert answer.status_code == 200
        assert list(answer.json()["routes"]) == ["GET /plain"]
        assert ask(app, client="203.0.113.9").status_code == 403
    finally:
        watch.stop()


def test_mounted_by_hand_elsewhere(leaky):
    with SessionWatch(Settings(log_findings=False)) as watch:
        leaky.add_middleware(SessionWatchMiddleware, watch=watch)
        leaky.include_router(router(watch, "/internal/sessions"))
        ask(leaky, "/notes/1")
        assert ask(leaky).status_code == 404
        assert len(ask(leaky, "/internal/sessions").json()["findings"]) == 1


def test_a_path_without_a_slash_is_refused():
    with pytest.raises(ValueError, match="begin it with a slash"):
        sessionwatch.install(FastAPI(), path="debug")


def test_on_a_real_server(app):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
        )
        thread.start()
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            with httpx.Client(base_url=base_url) as client:
                assert client.get("/notes/1").status_code == 404
                assert client.get(PATH).json()["findings"][0]["code"] == "SW101"
                forwarded = client.get(PATH, headers={"X-Forwarded-For": "203.0.113.9"})
                assert forwarded.status_code == 403
        finally:
            server.should_exit = True
            thread.join(10)
