"""The page on a real server: strange requests, byte by byte, and a proxy before it."""

import socket
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from sessionwatch import Settings

from .conftest import PATH, serving

HOST = b"Host: 127.0.0.1\r\nConnection: close\r\n"
LINE = b"GET " + PATH.encode()


def speak(port, request):
    """Send bytes as they stand; return the status, or None where the server hung up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(request)
            answer = connection.recv(65536)
        except ConnectionError:
            return None
    return int(answer.split(b" ", 2)[1]) if answer else None


def test_on_a_real_server(app):
    requests = {
        LINE + b" HTTP/1.1\r\n" + HOST + b"\r\n": {200},
        LINE + b"?route=%ff%zz&limit=1 HTTP/1.1\r\n" + HOST + b"\r\n": {200},
        LINE + b"?limit=%00 HTTP/1.1\r\n" + HOST + b"\r\n": {422},
        LINE + b" HTTP/1.0\r\n\r\n": {403},
        LINE + b" HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n": {403},
        LINE + b" HTTP/1.1\r\n" + HOST + b"X-Big: " + b"x" * 300_000 + b"\r\n\r\n": {
            200,
            400,
            431,
            None,
        },
        LINE + b"?route=" + b"a" * 300_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n": {400, 414, 422},
        b"BREW " + PATH.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n": {400, 405},
        b"TRACE " + PATH.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n": {405},
        b"HEAD " + PATH.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n": {405},
        b"POST " + PATH.encode() + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\n{}x": {405},
        b"\x16\x03\x01\x02\x00": {400, None},
    }
    with serving(app) as port:
        answered = {request: speak(port, request) for request in requests}
    wrong = {
        request[:60]: status
        for request, status in answered.items()
        if status not in requests[request]
    }
    assert wrong == {}


@pytest.fixture
def proxied(app):
    """Give a client of a proxy on this machine that adds some headers to what it passes on."""

    def open_client(added, *, passes_host=False):
        proxy = FastAPI(openapi_url=None)

        @proxy.get("/{path:path}")
        async def forward(path: str, request: Request):
            headers = {**dict(request.headers), **added}
            if not passes_host:
                headers["host"] = f"127.0.0.1:{upstream}"
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{upstream}") as client:
                answer = await client.get(f"/{path}", headers=headers)
            return Response(answer.content, answer.status_code)

        port = stack.enter_context(serving(proxy))
        return stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))

    with ExitStack() as stack:
        upstream = stack.enter_context(serving(app))
        yield open_client


FORWARDING = [
    {"X-Forwarded-For": "203.0.113.9"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "http"},
    {"Forwarded": "for=127.0.0.1;host=localhost"},
    {"X-Real-IP": "127.0.0.1"},
    {"Via": "1.1 proxy"},
]


@pytest.mark.parametrize("added", FORWARDING, ids=lambda added: next(iter(added)))
def test_behind_a_proxy_that_adds_forwarding_headers_nobody_reads(proxied, added):
    """Although uvicorn itself, which trusts proxies on this machine, takes the client's word."""
    assert proxied(added).get(PATH).status_code == 403


def test_behind_a_proxy_that_passes_a_foreign_host_nobody_reads(proxied):
    client = proxied({}, passes_host=True)
    assert client.get(PATH, headers={"Host": "shop.example.org"}).status_code == 403


@pytest.mark.parametrize("watch_settings", [Settings(token="right", log_findings=False)])
def test_behind_a_proxy_the_token_opens_it(proxied):
    client = proxied(FORWARDING[0])
    assert client.get(PATH).status_code == 403
    assert client.get(PATH, headers={"Authorization": "Bearer right"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "0.0.0.0", "127.1", ""]
)
def test_a_name_that_was_rebound_to_this_machine_reads_nothing(app, host):
    """A page of evil.test asks its own name, which by now leads here (DNS rebinding)."""
    with serving(app) as port:
        request = f"GET {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        assert speak(port, request.encode()) == 403
