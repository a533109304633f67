"""Queries and headers that nobody sends by mistake: a 4xx, or answered; never a server error."""

import pytest

from .conftest import raw_status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=", 422),
        ("limit=1&limit=x", 422),
        ("limit=x&limit=1", 200),
        ("limit=1e2", 422),
        ("limit=0", 422),
        ("limit=1001", 422),
        ("limit=" + "9" * 5000, 422),
        ("limit=%00", 422),
        ("limit[]=1", 200),
        ("code=SW101&code=SW102", 200),
        ("code=sw101", 422),
        ("code=SW", 422),
        ("route=" + "a" * 501, 422),
        ("route=" + "a" * 500_000, 422),
        ("route=", 422),
        ("route=%", 200),
        ("route=%zz", 200),
        ("route=%ff%fe", 200),
        ("route=%ed%a0%80", 200),
        ("route=%00", 200),
        ("route=%F0%9F%92%A9", 200),
        ("route=%0d%0aSet-Cookie:a=b", 200),
        ("route=%20", 422),
        ("route=/items", 422),
        ("&&&===&", 200),
        ("?" * 1000, 200),
        ("a=1&" * 10_000, 200),
    ],
    ids=lambda value: str(value)[:24],
)
def test_queries_are_refused_or_answered(bare_app, query, status):
    assert raw_status(bare_app, query=query.encode()) == status


@pytest.mark.parametrize("query", [b"\xff\xfe", b"limit=\xe9", b"route=\xed\xa0\x80"])
def test_a_query_beyond_ascii(bare_app, query):
    assert raw_status(bare_app, query=query) in (200, 422)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ((b"host", b"\xff\xfe"), 403),
        ((b"host", b"127.0.0.1\x00"), 403),
        ((b"host", b"[" * 50_000), 403),
        ((b"host", b"1" * 100_000), 403),
        ((b"host", b"localhost:" + b"9" * 100_000), 200),
        ((b"origin", b"\xff://\xff"), 403),
        ((b"origin", b"http://" + b"a" * 100_000), 403),
        ((b"authorization", b"Bearer " + b"\xff" * 100_000), 200),
        ((b"accept", b"text/html"), 200),
        ((b"x-any", b"x" * 1_000_000), 200),
    ],
    ids=lambda value: str(value)[:32],
)
def test_headers_of_any_kind(bare_app, header, status):
    headers = [header] if header[0] == b"host" else [(b"host", b"127.0.0.1"), header]
    assert raw_status(bare_app, headers=headers) == status
