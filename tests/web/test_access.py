"""Who may read the debug page, each rule by itself."""

import pytest

from sessionwatch import Settings
from sessionwatch.web.access import is_loopback, refusal

LOCAL = {"host": "127.0.0.1:8000"}


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_a_direct_loopback_client_may_read(client):
    assert refusal(None, client, LOCAL) is None


@pytest.mark.parametrize("client", ["10.0.0.1", "192.168.1.4", "::ffff:10.0.0.1", "testclient", ""])
def test_any_other_client_may_not(client):
    assert "only to requests from the machine" in refusal(None, client, LOCAL)


def test_a_unix_socket_without_a_client_may_not():
    assert refusal(None, None, LOCAL) is not None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1", "[::1]", "[::1]:8000"]
)
def test_a_loopback_host_may_be_asked_for(host):
    assert refusal(None, "127.0.0.1", {"host": host}) is None


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8000", "localhost.evil.test", "10.0.0.1", "127.0.0.1.evil.test"],
)
def test_a_foreign_host_may_not_be_it_is_dns_rebinding(host):
    assert refusal(None, "127.0.0.1", {"host": host}) is not None


@pytest.mark.parametrize("host", ["[::1].evil.test", "127.0.0.1:evil", "[::1", "::1]", "[]", ":80"])
def test_a_malformed_host_may_not_be(host):
    assert refusal(None, "127.0.0.1", {"host": host}) is not None


def test_no_host_at_all_may_not():
    assert refusal(None, "127.0.0.1", {}) is not None


@pytest.mark.parametrize(
    "header",
    [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-anything",
        "x-real-ip",
        "via",
        "true-client-ip",
        "cf-connecting-ip",
    ],
)
@pytest.mark.parametrize("value", ["203.0.113.9", "127.0.0.1", ""])
def test_behind_a_proxy_may_not(header, value):
    assert refusal(None, "127.0.0.1", {**LOCAL, header: value}) is not None


@pytest.mark.parametrize("origin", ["https://evil.test", "http://10.0.0.1:3000", "null", ""])
def test_a_page_of_another_site_may_not_even_where_cors_allows_all(origin):
    assert refusal(None, "127.0.0.1", {**LOCAL, "origin": origin}) is not None


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:80"])
def test_a_page_of_this_machine_may(origin):
    assert refusal(None, "127.0.0.1", {**LOCAL, "origin": origin}) is None


@pytest.mark.parametrize("client", ["127.0.0.1", "203.0.113.9"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_opens_it_from_anywhere(client, scheme):
    headers = {"host": "app.test", "x-forwarded-for": "1.2.3.4", "authorization": f"{scheme} key"}
    assert refusal("key", client, headers) is None


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic key", "key", "Bearer kéy"],
)
def test_with_a_token_set_nothing_else_opens_it(authorization):
    headers = LOCAL if authorization is None else {**LOCAL, "authorization": authorization}
    assert "Authorization: Bearer <token>" in refusal("key", "127.0.0.1", headers)


@pytest.mark.parametrize("token", ["key\n", " key", "key"])
def test_white_space_around_the_token_is_no_part_of_it(token):
    assert refusal(token, "203.0.113.9", {"authorization": "Bearer key"}) is None


def test_a_token_beyond_ascii_arrives_as_utf_8_read_as_latin_1():
    received = "Bearer " + "clé".encode().decode("latin-1")
    assert refusal("clé", "203.0.113.9", {"authorization": received}) is None


@pytest.mark.parametrize("host", ["", "nonsense", "::2", "1.2.3"])
def test_what_is_no_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_token_is_refused_where_it_is_set(token):
    with pytest.raises(ValueError, match="token is empty"):
        Settings(token=token)
