"""The token of the page: compared in constant time, as bytes; where it is set, it alone decides."""

import hmac

import pytest

from sessionwatch import Settings
from sessionwatch.web import token
from sessionwatch.web.access import refusal

from .conftest import PATH, ask

LOCAL = {"client": "127.0.0.1", "base_url": "http://127.0.0.1"}
REMOTE = {"client": "203.0.113.9", "base_url": "http://app.test"}


@pytest.fixture
def compared(monkeypatch):
    """Return the pairs that were compared, all of them by the real `compare_digest`."""
    pairs = []

    def compare(first, second):
        pairs.append((first, second))
        return hmac.compare_digest(first, second)

    monkeypatch.setattr(token, "hmac", type("Hmac", (), {"compare_digest": staticmethod(compare)}))
    return pairs


class Uncomparable(str):
    """A text that tells, with `==`, how far it is right by the time that it takes."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        raise AssertionError("compared in a time that tells where they differ")

    __ne__ = __eq__


@pytest.mark.parametrize("given", ["right", "wrong", "", "righ", "clé", "right right"])
def test_bytes_are_compared_in_constant_time(compared, given):
    headers = {"authorization": f"Bearer {given}"}
    allowed = refusal(Uncomparable("right"), "203.0.113.9", headers) is None
    assert allowed is (given == "right")
    assert compared == [(given.encode("latin-1"), b"right")]


@pytest.mark.parametrize("scheme", ["Basic", "", "bearerx"])
def test_the_scheme_does_not_shorten_the_comparison(compared, scheme):
    assert refusal("right", "203.0.113.9", {"authorization": f"{scheme} right"}) is not None
    assert len(compared) == 1


@pytest.mark.parametrize("token", ["clé", "passe-partout à", "Å", "鍵", "\udce9"])
def test_a_token_beyond_ascii_opens_and_breaks_nothing(token):
    """The last byte of "à" and "Å" is white space where it is read as Latin-1."""
    sent = token.encode("utf-8", "surrogateescape").decode("latin-1")
    assert refusal(token, "203.0.113.9", {"authorization": f"Bearer {sent}"}) is None
    assert refusal(token, "203.0.113.9", {"authorization": f"Bearer {sent}x"}) is not None
    assert refusal(token, "203.0.113.9", {"authorization": "Bearer \u20ac"}) is not None


@pytest.mark.parametrize("watch_settings", [Settings(token="right", log_findings=False)])
@pytest.mark.parametrize("there", [LOCAL, REMOTE])
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ([], 403),
        (["Bearer wrong"], 403),
        (["Bearer right"], 200),
        (["Bearer wrong", "Bearer right"], 403),
        (["Bearer wrong, Bearer right"], 403),
        (["Basic right"], 403),
    ],
)
def test_where_a_token_is_set_it_alone_decides(app, there, authorization, status):
    """Nor is it enough to come from this machine."""
    headers = [("Authorization", each) for each in authorization]
    assert ask(app, headers=headers, **there).status_code == status


@pytest.mark.parametrize(("there", "status"), [(LOCAL, 200), (REMOTE, 403)])
@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer None", "Bearer any"])
def test_where_no_token_is_set_none_opens_it(app, there, status, authorization):
    assert ask(app, headers={"Authorization": authorization}, **there).status_code == status


@pytest.mark.parametrize("watch_settings", [Settings(token="right", log_findings=False)])
@pytest.mark.parametrize("path", [f"{PATH}?token=right", f"{PATH}?access_token=right"])
def test_a_token_in_the_address_is_none(app, path):
    """Addresses stand in logs and histories."""
    assert ask(app, path, **LOCAL).status_code == 403


@pytest.mark.parametrize("watch_settings", [Settings(token="right-4711", log_findings=False)])
def test_the_token_is_told_to_nobody(app):
    for headers in ({}, {"Authorization": "Bearer right-4711"}):
        assert "right-4711" not in ask(app, headers=headers).text
    assert "right-4711" not in ask(app, "/openapi.json").text
