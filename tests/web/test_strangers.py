"""The door of the page, asked from outside: who is let in, and what the others are told."""

import pytest
from fastapi.middleware.cors import CORSMiddleware

from sessionwatch import Settings

from .conftest import ask


def test_strangers_are_refused_with_help_and_nothing_else(app, report):
    answer = ask(app, client="203.0.113.9")
    assert answer.status_code == 403
    assert set(answer.json()) == {"detail"}
    assert "Settings(token=...)" in answer.text
    assert "conftest.py" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.test"},
        {"Origin": "https://evil.test"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
    ],
)
def test_strangers_are_known_by_their_headers(app, headers):
    answer = ask(app, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["cache-control"] == "no-store"


def test_strangers_of_another_site_learn_nothing_where_cors_allows_all(app):
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    refused = ask(app, headers={"Origin": "https://evil.test"})
    assert refused.headers["access-control-allow-origin"] == "*"
    assert refused.status_code == 403
    assert ask(app, headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_who_comes_over_ipv6_is_no_stranger(app):
    assert ask(app, client="::1", base_url="http://[::1]:8000").status_code == 200
    assert ask(app, client="::ffff:127.0.0.1").status_code == 200


def test_strangers_are_refused_before_their_filters_are_read(app):
    assert ask(app, client="203.0.113.9", params={"limit": "x"}).status_code == 403


@pytest.mark.parametrize("watch_settings", [Settings(token="key")])
def test_strangers_come_in_with_the_token(app):
    there = {"client": "203.0.113.9", "base_url": "http://app.test"}
    assert ask(app, **there).status_code == 403
    answer = ask(app, **there, headers={"Authorization": "Bearer key"})
    assert answer.status_code == 200
    assert answer.json()["settings"]["token"] == "set"
