"""The page inside other people's applications: by `install`, by hand, and on a real server."""

import asyncio
import socket
import subprocess
import sys
import threading

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import sessionwatch
from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings
from sessionwatch.web.endpoint import router

from .conftest import PATH, ask

QUIET = Settings(log_findings=False)


@pytest.fixture
def installed():
    """Install into an application; the watch is stopped after the test."""
    watches = []

    def install(app, **arguments):
        watches.append(sessionwatch.install(app, QUIET, **arguments))
        return app

    yield install
    for watch in watches:
        watch.stop()


def test_under_plain_starlette(create_session, installed):
    leaked = []

    def plain(request):
        session = create_session()
        session.connection()
        leaked.append(session)
        return PlainTextResponse("plain")

    app = installed(Starlette(routes=[Route("/plain/{number}", plain)]))
    assert ask(app, "/plain/1").text == "plain"
    answer = ask(app)
    assert answer.status_code == 200
    assert list(answer.json()["routes"]) == ["GET /plain/{number}"]
    assert answer.json()["findings"][0]["code"] == "SW101"
    assert ask(app, params={"code": "SW1"}).status_code == 422
    assert ask(app, client="203.0.113.9").status_code == 403
    leaked.pop().close()


@pytest.mark.parametrize("make", [FastAPI, Starlette])
class TestUnderEither:
    def test_at_exactly_its_path(self, make, installed):
        app = installed(make(), path="/internal/sessions")
        assert ask(app, "/internal/sessions").status_code == 200
        assert ask(app).status_code == 404

    def test_it_is_read_only(self, make, installed):
        app = installed(make())

        async def post():
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                return await client.post(PATH)

        assert asyncio.run(post()).status_code == 405

    def test_a_route_for_all_paths_does_not_hide_it(self, make, installed):
        app = make()

        async def everything(scope, receive, send):
            await PlainTextResponse("everything")(scope, receive, send)

        app.router.routes.append(Mount("/", everything))
        installed(app)
        assert set(ask(app).json()) > {"totals", "findings"}
        assert ask(app, "/other").text == "everything"

    def test_a_path_without_a_slash_is_refused(self, make):
        with pytest.raises(ValueError, match="begin it with a slash"):
            sessionwatch.install(make(), path="debug")


def test_by_hand_elsewhere(leaky):
    with SessionWatch(QUIET) as watch:
        leaky.add_middleware(SessionWatchMiddleware, watch=watch)
        leaky.include_router(router(watch, "/internal/sessions"))
        ask(leaky, "/notes/1")
        assert ask(leaky).status_code == 404
        assert len(ask(leaky, "/internal/sessions").json()["findings"]) == 1


def test_by_hand_under_a_prefix(leaky):
    with SessionWatch(QUIET) as watch:
        leaky.add_middleware(SessionWatchMiddleware, watch=watch)
        leaky.include_router(router(watch), prefix="/operations")
        assert ask(leaky, "/operations/debug/sessions").status_code == 200


def test_by_hand_in_an_application_of_its_own_that_is_mounted():
    with SessionWatch(QUIET) as watch:
        operations = FastAPI()
        operations.include_router(router(watch, "/sessions"))
        app = Starlette(routes=[Mount("/operations", operations)])
        app.add_middleware(SessionWatchMiddleware, watch=watch)
        assert ask(app, "/operations/sessions").status_code == 200


def test_by_hand_a_path_without_a_slash_is_refused():
    with pytest.raises(ValueError, match="begin it with a slash"):
        router(SessionWatch(), "debug")


def test_the_applications_default_response_does_not_matter(installed):
    answer = ask(installed(FastAPI(default_response_class=HTMLResponse)))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["findings"] == []


def test_the_applications_own_names_stay_what_they_were(installed):
    class Owner(BaseModel):
        name: str

    app = installed(FastAPI())

    @app.get("/owner")
    def read_sessions() -> Owner:
        return Owner(name="Ada")

    schemas = ask(app, "/openapi.json").json()["components"]["schemas"]
    framework = {"HTTPValidationError", "ValidationError"}
    assert {name for name in schemas if not name.startswith("SessionWatch")} - framework == {
        "Owner"
    }
    assert app.url_path_for("read_sessions") == "/owner"
    assert app.url_path_for("sessionwatch") == PATH


def test_to_import_sessionwatch_imports_no_fastapi():
    program = (
        "import sys, sessionwatch; "
        "print([name for name in ('fastapi', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_on_a_real_server(app):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
        )
        thread.start()
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with httpx.Client(base_url=base_url, timeout=20) as client:
                assert client.get("/notes/1").status_code == 404
                assert client.get(PATH).json()["findings"][0]["code"] == "SW101"
                for headers in ({"X-Forwarded-For": "127.0.0.1"}, {"Host": "evil.test"}):
                    assert client.get(PATH, headers=headers).status_code == 403
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()
