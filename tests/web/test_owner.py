"""One owner at `/debug/sessions/owners/{id}`: as JSON, and as a picture for a browser."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import fastapi
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.routing import Route

import sessionwatch
from sessionwatch.records.owner import Owner

from .conftest import PATH, Note, ask

HTML = {"Accept": "text/html"}
TOKEN = "right-4711"
FASTAPI = tuple(int(number) for number in fastapi.__version__.split(".")[:2])


@pytest.fixture
def make_app(create_session, watch_settings):
    """Make an application whose POST /notes commits in its dependency, of this scope."""
    watches = []

    def make(**scope):
        app = FastAPI()

        def get_db():
            with create_session() as session:
                yield session
                session.commit()

        @app.get("/notes")
        def write(session=Depends(get_db, **scope)):
            session.execute(insert(Note).values(body="lamp"))
            return {}

        watches.append(sessionwatch.install(app, watch_settings))
        assert ask(app, "/notes").status_code == 200
        return app

    yield make
    for watch in watches:
        watch.stop()


def owner_path(app):
    """Return where the owner of the only finding is shown."""
    (finding,) = ask(app).json()["findings"]
    return f"{PATH}/owners/{finding['owner']['id']}"


def moments(course):
    return {moment["kind"]: moment["at"] for lane in course["lanes"] for moment in lane["moments"]}


@pytest.mark.skipif(FASTAPI < (0, 118), reason="FastAPI before 0.118 commits before the response")
def test_the_commit_of_a_dependency_comes_after_the_response(make_app):
    app = make_app()
    course = ask(app, owner_path(app)).json()
    assert moments(course)["commit"] > moments(course)["response"]
    assert [(each["code"], each["at"]) for each in course["findings"]] == [
        ("SW301", moments(course)["commit"])
    ]
    page = ask(app, owner_path(app), headers=HTML).text
    assert re.search(r"committed [\d.]+ (ms|µs) after the response had started", page)


@pytest.mark.skipif(FASTAPI < (0, 121), reason="FastAPI before 0.121 has no function scope")
def test_that_of_a_function_scoped_one_comes_before_it(make_app):
    app = make_app(scope="function")
    answers = [ask(app, f"{PATH}/owners/{number}") for number in _last_owners()]
    courses = [each.json() for each in answers if each.status_code == 200]
    (course,) = (each for each in courses if each["owner"]["kind"] == "request")
    assert moments(course)["commit"] < moments(course)["response"]
    assert course["findings"] == []


def _last_owners():
    """Return the numbers of the owners just before the one that a request now would have."""
    now = Owner("job", "probe", None, 0).number
    return range(max(1, now - 5), now)


def test_the_page_is_confined_and_names_everything(app):
    ask(app, "/notes/7")
    answer = ask(app, owner_path(app), headers=HTML)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    (svg,) = re.findall(r"<svg.*?</svg>", answer.text, re.DOTALL)
    texts = [each.text for each in ET.fromstring(svg).iter("text")]
    assert {"session 1", "transaction", "connection", "SW101", "still out"} <= set(texts)
    assert "GET /notes/{number} answered 404" in answer.text
    assert "session 1: is opened, at " in answer.text
    assert 'href="../../sessions"' in answer.text


def test_format_overrides_accept(app):
    ask(app, "/notes/7")
    path = owner_path(app)
    json = ask(app, f"{path}?format=json", headers=HTML)
    html = ask(app, f"{path}?format=html")
    assert json.headers["content-type"] == "application/json"
    assert html.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("number", [10**9, 10**30])
def test_an_owner_that_is_not_known(app, number):
    answer = ask(app, f"{PATH}/owners/{number}")
    assert answer.status_code == 404
    assert "not kept any more" in answer.json()["detail"]
    page = ask(app, f"{PATH}/owners/{number}", headers=HTML)
    assert page.status_code == 404
    assert "not kept any more" in page.text


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
def test_what_is_no_number_is_refused(app, number):
    assert ask(app, f"{PATH}/owners/{number}").status_code == 422


@pytest.mark.parametrize("number", ["1", "x"])
def test_it_is_closed_to_strangers_whatever_they_ask(app, number):
    path = f"{PATH}/owners/{number}"
    for headers in ({}, HTML):
        assert ask(app, path, client="10.0.0.1", headers=headers).status_code == 403
        assert ask(app, path, headers={**headers, "Host": "evil.test"}).status_code == 403


@pytest.mark.parametrize("watch_settings", [sessionwatch.Settings(token=TOKEN, log_findings=False)])
def test_a_browser_without_the_token_is_shown_the_way_in(app):
    ask(app, "/notes/7")
    refused = ask(app, f"{PATH}/owners/1", headers=HTML)
    assert refused.status_code == 403
    assert 'action="../login"' in refused.text
    headers = {"Authorization": f"Bearer {TOKEN}"}
    (finding,) = ask(app, headers=headers).json()["findings"]
    path = f"{PATH}/owners/{finding['owner']['id']}"
    assert ask(app, path, headers=headers).status_code == 200


def test_a_plain_starlette_application_has_it_too(create_session):
    leaked = []

    def leak(request):
        leaked.append(create_session())
        leaked[-1].get(Note, 1)
        raise RuntimeError

    app = Starlette(routes=[Route("/leak", leak)])
    watch = sessionwatch.install(app, sessionwatch.Settings(log_findings=False))
    with pytest.raises(RuntimeError):
        ask(app, "/leak")
    assert ask(app, owner_path(app)).json()["owner"]["error"] == "RuntimeError"
    leaked[0].close()
    watch.stop()


def test_a_name_that_is_markup_stays_text():
    app = FastAPI()
    watch = sessionwatch.install(app, sessionwatch.Settings(log_findings=False))
    name = "</title><script>alert(1)</script><!-- style -->/* style */"
    with watch.owner(name) as owner:
        page = ask(app, f"{PATH}/owners/{owner.number}", headers=HTML).text
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2
    assert page.count("<style>") == 1
    watch.stop()
