"""The scenarios as data: what is asked of each variant's server, and what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Drive = Literal["request", "disconnect", "burst"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way of using a server; `right` says what a correct application leaves behind."""

    key: str
    title: str
    method: str
    path: str
    right: str
    drive: Drive = "request"
    handlers_doing: bool = False
    """Whether the damage is done by the handler's own habit, whatever `get_db` is used."""
    streams: bool = False
    """Whether the answer reads through the session, maybe after `get_db` has ended."""


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "success",
        "a request that works",
        "POST",
        "/orders",
        "200 and the order is in the database",
    ),
    Scenario(
        "handler-commits",
        "a handler that commits by itself",
        "POST",
        "/orders/handler-commits",
        "200 and the order is in the database",
    ),
    Scenario(
        "http-exception",
        "an HTTPException after a write",
        "POST",
        "/orders/http-exception",
        "400 and nothing is written",
    ),
    Scenario(
        "unhandled",
        "an unhandled exception after a write",
        "POST",
        "/orders/unhandled",
        "500 and nothing is written",
    ),
    Scenario(
        "bad-response",
        "an answer that its response model refuses",
        "POST",
        "/orders/bad-response",
        "500 and nothing is written",
    ),
    Scenario(
        "split-transfer",
        "a transfer that fails between two commits of the handler",
        "POST",
        "/transfer/split",
        "500 and all balances as they were",
        handlers_doing=True,
    ),
    Scenario(
        "swallowed-transfer",
        "a transfer whose handler catches the error and answers 500",
        "POST",
        "/transfer/swallowed",
        "500 and all balances as they were",
        handlers_doing=True,
    ),
    Scenario(
        "commit-fails",
        "a commit that the database refuses (deferred constraint)",
        "POST",
        "/orders/deferred",
        "500 and nothing is written",
    ),
    Scenario(
        "background",
        "a background task that writes in a session of its own",
        "POST",
        "/orders/background",
        "200, the order and its audit row are in the database",
    ),
    Scenario(
        "stream",
        "a streaming answer that reads through the same session",
        "GET",
        "/orders/stream",
        "200 and the order is in the database",
        streams=True,
    ),
    Scenario(
        "disconnect",
        "a client that leaves in mid-stream",
        "GET",
        "/orders/stream-forever",
        "the connection goes back to the pool",
        drive="disconnect",
        streams=True,
    ),
    Scenario(
        "burst",
        "failing requests at twice the pool, then good ones",
        "POST",
        "/burst/fail",
        "every request is served",
        drive="burst",
    ),
)

BURST_GOOD_PATH = "/burst/good"
FORM_LETTERS = "ABCD"
"""Question 2's four ways to declare a route; each is asked at `FORM_PATH`."""
FORM_PATH = "/items"

SCENARIOS_BY_KEY = {scenario.key: scenario for scenario in SCENARIOS}
