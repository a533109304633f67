"""Random requests to the mixed application, and what it answers, message by message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

ACCOUNTS = 40
"""So many numbers and names are asked for; few enough that many meet."""
STREAM_ENDS_AFTER = 2
"""A client that goes away in the midst of a stream has had so many messages."""


@dataclass(frozen=True)
class Step:
    """One request; `ends` tells how, if not with its response."""

    method: str
    path: str
    body: bytes = b""
    ends: str = ""


@dataclass
class Answer:
    """All that the application sent, and the class of what it raised."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    raised: str | None = None


def random_steps(seed: int, number: int) -> Iterator[Step]:
    """Yield `number` requests that are the same for the same seed."""
    random = Random(seed)  # noqa: S311
    makers = [make for make, weight in _MAKERS for _ in range(weight)]
    for _ in range(number):
        yield random.choice(makers)(random)


def _number(random: Random) -> int:
    return random.randint(1, ACCOUNTS)


def _entries(random: Random) -> Step:
    amounts = [random.randint(-2, 2) for _ in range(random.randint(0, 3))]
    return Step("POST", f"/entries/{_number(random)}", json.dumps(amounts).encode())


def _transfer(random: Random) -> Step:
    amount = random.randint(1, 120)
    return Step("POST", f"/transfer/{_number(random)}/{_number(random)}/{amount}")


def _messages(random: Random) -> Step:
    numbers = [str(_number(random)) for _ in range(random.randint(0, 4))]
    return Step("WEBSOCKET", "/balances", json.dumps(numbers).encode())


_MAKERS: tuple[tuple[Callable[[Random], Step], int], ...] = (
    (lambda random: Step("GET", f"/accounts/{_number(random)}"), 24),
    (lambda random: Step("GET", f"/async/accounts/{_number(random)}"), 4),
    (lambda random: Step("POST", f"/accounts/name-{_number(random)}"), 6),
    (lambda random: Step("POST", f"/unhandled/name-{_number(random)}"), 1),
    (lambda random: Step("DELETE", f"/accounts/{_number(random)}"), 1),
    (lambda random: Step("POST", f"/rolled-back/{_number(random)}"), 1),
    (lambda random: Step("POST", f"/forgotten/{_number(random)}"), 1),
    (lambda random: Step("POST", f"/twice/{_number(random)}"), 1),
    (lambda random: Step("POST", f"/later/{_number(random)}"), 1),
    (lambda random: Step("GET", "/accounts/none"), 1),
    (lambda random: Step("GET", "/nowhere"), 1),
    (lambda random: Step("GET", "/core"), 1),
    (lambda random: Step("GET", "/leaked"), 1),
    (lambda random: Step("GET", "/names"), 1),
    (lambda random: Step("GET", "/names", ends="gone"), 1),
    (lambda random: Step("GET", "/hang", ends="cancelled"), 1),
    (_entries, 3),
    (_transfer, 2),
    (_messages, 1),
)


async def answer_to(app: Any, step: Step, hanging: asyncio.Event) -> Answer:
    """Send one request to an ASGI application and return what came of it."""
    answer = Answer()
    request = asyncio.ensure_future(app(_scope(step), _receive(step), _send(step, answer)))
    if step.ends == "cancelled":
        waiting = asyncio.ensure_future(hanging.wait())
        await asyncio.wait((waiting, request), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        hanging.clear()
        request.cancel()
    try:
        await request
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
        answer.raised = type(error).__name__
    return answer


def _scope(step: Step) -> dict[str, Any]:
    is_socket = step.method == "WEBSOCKET"
    return {
        "type": "websocket" if is_socket else "http",
        "http_version": "1.1",
        "method": step.method,
        "scheme": "ws" if is_socket else "http",
        "path": step.path,
        "raw_path": step.path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"test"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }


def _receive(step: Step) -> Callable[[], Any]:
    messages = _socket_messages(step) if step.method == "WEBSOCKET" else _body_messages(step)

    async def receive() -> dict[str, Any]:
        return next(messages)

    return receive


def _body_messages(step: Step) -> Iterator[dict[str, Any]]:
    yield {"type": "http.request", "body": step.body, "more_body": False}
    while True:
        yield {"type": "http.disconnect"}


def _socket_messages(step: Step) -> Iterator[dict[str, Any]]:
    yield {"type": "websocket.connect"}
    for text in json.loads(step.body):
        yield {"type": "websocket.receive", "text": text}
    while True:
        yield {"type": "websocket.disconnect", "code": 1000}


def _send(step: Step, answer: Answer) -> Callable[[dict[str, Any]], Any]:
    async def send(message: dict[str, Any]) -> None:
        answer.messages.append(dict(message))
        if step.ends == "gone" and len(answer.messages) >= STREAM_ENDS_AFTER:
            raise OSError("the client has gone")

    return send
