"""The stream that feeds the page: the report again and again, and an end before long."""

import asyncio
import json
import time

import httpx
import pytest
from fastapi import Depends, FastAPI

import sessionwatch
from sessionwatch.web import stream

from .conftest import PATH, ask, serving

EVENTS = f"{PATH}/events"


def reports_in(lines):
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_leak_comes_within_a_second_with_its_line(app):
    """The best of three, since other work on the machine makes it slower."""
    with serving(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        taken = []
        for count in (1, 2, 3):
            with client.stream("GET", EVENTS) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                assert answer.headers["cache-control"] == "no-store"
                reports = reports_in(answer.iter_lines())
                assert sum(each["count"] for each in next(reports)["findings"]) == count - 1
                asked = time.monotonic()
                assert httpx.get(f"http://127.0.0.1:{port}/looks/1").status_code == 404
                while sum(each["count"] for each in next(reports)["findings"]) < count:
                    pass
                taken.append(time.monotonic() - asked)
        (finding,) = client.get(PATH).json()["findings"]
    assert min(taken) < 1
    assert finding["code"] == "SW101"
    assert finding["opened_at"]["function"] == "get_db"


def test_filters_hold_for_the_stream(app, monkeypatch):
    monkeypatch.setattr(stream, "STREAM_SECONDS", 0)
    ask(app, "/notes/1")
    (report,) = reports_in(ask(app, EVENTS, params={"code": "SW203"}).text.splitlines())
    assert report["findings"] == []
    assert report["matching"] == {"open_sessions": 1, "findings": 0}


@pytest.mark.parametrize("wrong", [{"limit": "x"}, {"sort": "up"}, {"route": "/notes"}])
def test_a_wrong_filter_is_refused_before_the_stream_begins(app, wrong):
    answer = ask(app, EVENTS, params=wrong)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"]


def test_access_is_as_for_the_page(bare_app):
    assert ask(bare_app, EVENTS, client="203.0.113.9").status_code == 403
    assert ask(bare_app, EVENTS, headers={"x-forwarded-for": "203.0.113.9"}).status_code == 403


def test_it_ends_before_long_so_that_no_server_waits_for_it(monkeypatch):
    now = [0.0]

    async def sleep(seconds):
        now[0] += seconds
        await asyncio.sleep(0)

    monkeypatch.setattr(stream.anyio, "sleep", sleep)

    async def read():
        now[0] += 0.01
        return "{}"

    async def count():
        return [text async for text in stream.events("{}", read, clock=lambda: now[0])]

    texts = asyncio.run(count())
    assert texts[0] == "retry: 100\n\n"
    assert now[0] >= stream.STREAM_SECONDS
    assert len(texts) - 1 == 8  # one every half second, the first at once


def test_what_the_whole_application_depends_on_is_not_held(create_session, monkeypatch):
    """A session that every route depends on would be open as long as the stream is."""
    monkeypatch.setattr(stream, "STREAM_SECONDS", 0)
    opened = []

    def get_db():
        with create_session() as session:
            opened.append(session)
            yield session

    app = FastAPI(dependencies=[Depends(get_db)])
    watch = sessionwatch.install(app, sessionwatch.Settings(log_findings=False))
    try:
        assert ask(app, EVENTS).status_code == 200
        assert opened == []
    finally:
        watch.stop()
