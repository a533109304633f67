"""Methods and bodies that the page does not know: refused as HTTP says, and never read."""

import asyncio

import httpx
import pytest

from .conftest import PATH, raw_status

METHODS = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "HEAD", "OPTIONS", "PROPFIND", "BREW"]
HUGE = b"x" * 2_000_000


def send(app, method, path=PATH, **arguments):
    async def request():
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **arguments)

    return asyncio.run(request())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("body", [b"", b'{"limit": 1}', HUGE], ids=["empty", "json", "huge"])
def test_other_methods_are_not_allowed(bare_app, method, body):
    answer = send(bare_app, method, content=body)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert "totals" not in answer.text


def test_a_method_in_lower_case_is_another(bare_app):
    """Methods are told apart by case (RFC 9110, 9.1); httpx would put it in capitals."""
    assert raw_status(bare_app, method="get") == 405


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", HUGE], ids=["empty", "{", "bytes", "huge"]
)
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "nonsense", ""])
def test_a_body_is_not_read(bare_app, body, kind):
    answer = send(bare_app, "GET", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200
