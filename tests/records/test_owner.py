"""What an owner says of itself: failed, acknowledged, and what it is called."""

from __future__ import annotations

import asyncio

import pytest

from sessionwatch import Owner


@pytest.fixture
def make_owner(watch, clock):
    def make(kind="request", **facts):
        owner = Owner(kind, "GET (no route)", watch, clock())
        for name, value in facts.items():
            setattr(owner, name, value)
        return owner

    return make


@pytest.mark.parametrize(
    ("facts", "failed", "acknowledged"),
    [
        ({"status": 200, "response_started_ns": 1}, False, True),
        ({"status": 302, "response_started_ns": 1}, False, True),
        ({"status": 404, "response_started_ns": 1}, True, False),
        ({"status": 500, "response_started_ns": 1}, True, False),
        ({"status": 200, "response_started_ns": 1, "error": "ValueError"}, True, True),
        ({"status": 500, "error": "ValueError"}, True, False),
        ({"status": 200, "response_started_ns": 1, "cancelled": True}, True, True),
        ({}, False, False),
    ],
)
def test_request(make_owner, facts, failed, acknowledged):
    owner = make_owner(**facts)
    assert (owner.failed, owner.acknowledged) == (failed, acknowledged)


@pytest.mark.parametrize(
    ("facts", "failed"),
    [({}, False), ({"error": "ValueError"}, True), ({"cancelled": True}, True)],
)
def test_job(make_owner, facts, failed):
    owner = make_owner("job", **facts)
    assert (owner.failed, owner.acknowledged) == (failed, not failed)


def test_label_is_the_route_once_it_is_known(make_owner, monkeypatch):
    routes = []
    monkeypatch.setattr(Owner, "locate", lambda owner: routes[0] if routes else None)
    owner = make_owner()
    assert owner.label == "GET (no route)"
    routes.append("GET /items/{id}")
    assert owner.label == "GET /items/{id}"
    owner.end(1)
    routes.clear()
    assert owner.label == "GET /items/{id}"


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (ValueError("a secret"), ("ValueError", False)),
        (KeyboardInterrupt(), ("KeyboardInterrupt", False)),
        (asyncio.CancelledError(), (None, True)),
    ],
)
def test_failure_is_noted_by_its_name_alone(make_owner, error, noted):
    owner = make_owner("job")
    owner.note_failure(error)
    assert (owner.error, owner.cancelled) == noted
