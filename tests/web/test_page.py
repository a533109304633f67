"""The page for browsers: who gets it, how it is confined, and how one logs in."""

import base64
import hashlib
import re

import httpx
import pytest

from sessionwatch import Settings
from sessionwatch.web.preference import prefers_page

from .conftest import PATH, SECRET, ask, serving

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
TOKEN = "open sesame"


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/*", False),
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("text/html;q=0", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html, application/json;q=0.5", True),
        ("text/html;q=x", False),
        (",;,", False),
    ],
)
def test_who_prefers_a_page(accept, page):
    assert prefers_page(accept) is page


@pytest.mark.parametrize(
    ("accept", "asked", "kind"),
    [
        (BROWSER, "", "text/html; charset=utf-8"),
        (BROWSER, "?format=json", "application/json"),
        ("*/*", "", "application/json"),
        ("*/*", "?format=html", "text/html; charset=utf-8"),
        ("application/json", "?format=html", "text/html; charset=utf-8"),
    ],
)
def test_one_address_gives_both(bare_app, accept, asked, kind):
    answer = ask(bare_app, PATH + asked, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


def test_a_format_that_there_is_not_is_refused(bare_app):
    assert ask(bare_app, PATH + "?format=xml").status_code == 422


def page_of(app, **arguments):
    return ask(app, headers={"accept": BROWSER, **arguments.pop("headers", {})}, **arguments)


class TestPolicy:
    @pytest.fixture
    def answer(self, bare_app):
        return page_of(bare_app)

    def test_only_its_own_script_and_style_may_run(self, answer):
        policy = dict(
            each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; ")
        )
        (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
        (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        assert policy["script-src"] == _hash(script)
        assert policy["style-src"] == _hash(style)
        assert policy["default-src"] == "'none'"
        assert policy["connect-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"

    def test_nothing_is_loaded_from_elsewhere(self, answer):
        addresses = re.findall(
            r"""(?:src|href|action)=["']?([^"'\s>]*)|url\(([^)]*)\)""", answer.text
        )
        assert {"".join(each) for each in addresses} == {"data:,", "#open-sessions"}
        assert "http://www.w3.org/2000/svg" in answer.text
        assert len(re.findall("https?://", answer.text)) == 1

    def test_nothing_in_it_makes_markup_of_text(self, answer):
        for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert name not in answer.text

    def test_it_is_never_stored_nor_guessed_at(self, answer):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


def _hash(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_it_holds_nothing_of_the_application(app, report):
    text = page_of(app).text
    assert SECRET not in text
    assert "/notes/" not in text


@pytest.mark.parametrize("client", ["203.0.113.9", "127.0.0.1"])
def test_without_a_token_others_are_told_why_there_is_none(bare_app, client):
    answer = page_of(bare_app, client=client, headers={"x-forwarded-for": "203.0.113.9"})
    assert answer.status_code == 403
    assert "answers only to requests from the machine that it runs on" in answer.text
    assert "<form" not in answer.text


@pytest.mark.parametrize("watch_settings", [Settings(token=TOKEN, log_findings=False)])
class TestLogin:
    @pytest.fixture
    def client(self, app):
        with (
            serving(app) as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            yield client

    def log_in(self, client, token):
        return client.post(f"{PATH}/login", data={"token": token})

    def test_the_page_asks_for_the_token(self, app):
        answer = page_of(app)
        assert answer.status_code == 403
        assert '<form method="post" action="sessions/login">' in answer.text
        assert "not the token" not in answer.text

    def test_the_token_opens_everything_with_a_cookie(self, client):
        answer = self.log_in(client, TOKEN)
        assert (answer.status_code, answer.headers["location"]) == (303, PATH)
        cookie = answer.headers["set-cookie"].lower()
        for part in ("httponly", "samesite=strict", f"path={PATH}"):
            assert part in cookie
        assert "secure" not in cookie
        assert TOKEN not in answer.headers["set-cookie"]
        assert client.get(PATH).json()["totals"]["opened"] == 0
        assert client.get(PATH, headers={"accept": BROWSER}).status_code == 200
        with client.stream("GET", f"{PATH}/events") as stream:
            assert stream.status_code == 200

    @pytest.mark.parametrize("wrong", ["", "open", TOKEN + "!", "x" * 100_000, "é", "\0"])
    def test_a_wrong_token_gives_the_form_again_and_no_cookie(self, client, wrong):
        answer = self.log_in(client, wrong)
        assert answer.status_code == 403
        assert "That is not the token." in answer.text
        assert "set-cookie" not in answer.headers
        assert client.get(PATH).status_code == 403

    @pytest.mark.parametrize(
        "body", [b"", b"token", b"%ff=%ff&token=%ff", b"\xff" * 20, b"&" * 5000]
    )
    def test_what_is_no_form_is_no_login(self, client, body):
        assert client.post(f"{PATH}/login", content=body).status_code == 403

    def test_a_cookie_that_somebody_made_up_opens_nothing(self, client):
        for cookie in (TOKEN, "x", "é".encode().decode("latin-1"), "", '"'):
            headers = {"cookie": f"sessionwatch={cookie}".encode("latin-1")}
            assert client.get(PATH, headers=headers).status_code == 403

    def test_a_wrong_header_is_not_made_up_for_by_a_cookie(self, client):
        self.log_in(client, TOKEN)
        answer = client.get(PATH, headers={"authorization": "Bearer wrong"})
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "http://127.0.0.1:1"},
            {"origin": "http://evil.test"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ],
    )
    def test_a_cookie_does_not_count_for_the_page_of_another_origin(self, client, headers):
        self.log_in(client, TOKEN)
        assert client.get(PATH, headers=headers).status_code == 403
        assert client.get(f"{PATH}/events", headers=headers).status_code == 403

    def test_over_tls_the_cookie_stays_there(self, app):
        import asyncio

        async def log_in():
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="https://app.test"
            ) as client:
                return await client.post(f"{PATH}/login", data={"token": TOKEN})

        assert "; secure" in asyncio.run(log_in()).headers["set-cookie"].lower()

    def test_the_cookie_is_of_no_use_for_another_token(self, client):
        from sessionwatch.web.login import cookie_of, has_cookie

        assert has_cookie(TOKEN, cookie_of(TOKEN))
        assert not has_cookie(TOKEN + "2", cookie_of(TOKEN))


def test_without_a_token_there_is_nothing_to_log_in_to(bare_app):
    assert ask(bare_app, f"{PATH}/login").status_code in (404, 405)
