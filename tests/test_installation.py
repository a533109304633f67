"""`install` does all: starts the watch, stands outermost, and can be undone."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import sessionwatch
from sessionwatch.instruments.attribution import current_owner


def request(app, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client:
            return await client.get(path)

    return asyncio.run(send())


def start_and_stop(app) -> list[str]:
    """Let an application start up and shut down as a server does; returns what it answers."""
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    answers = []

    async def receive():
        return {"type": next(asked)}

    async def send(message):
        answers.append(message["type"])

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    return answers


class NotesOwner(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        request.app.state.owners.append(current_owner.get())
        return await call_next(request)


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_it_stands_outside_middleware_that_is_added_later(make):
    app = make()
    app.state.owners = []
    watch = sessionwatch.install(app)
    try:
        app.add_middleware(NotesOwner)
        request(app, "/")
        assert [owner.kind for owner in app.state.owners] == ["request"]
    finally:
        watch.stop()


def test_it_stands_outside_a_middleware_function_that_is_added_later():
    app = FastAPI()
    owners = []
    watch = sessionwatch.install(app)
    try:

        @app.middleware("http")
        async def note(request, call_next):
            owners.append(current_owner.get())
            return await call_next(request)

        request(app, "/")
        assert [owner.kind for owner in owners] == ["request"]
    finally:
        watch.stop()


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_a_session_that_middleware_opens_belongs_to_the_request(make, make_session):
    class Opens(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            with make_session():
                return await call_next(request)

    app = make()
    watch = sessionwatch.install(app)
    try:
        app.add_middleware(Opens)
        request(app, "/nowhere")
        totals = watch.snapshot().totals
        assert (totals.owners, totals.counts.opened, totals.counts.closed) == (1, 1, 1)
    finally:
        watch.stop()


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_a_leak_is_named_by_route_and_line(make, make_session):
    leaked = []

    def leak(request: Request):
        session = make_session()
        session.connection()
        leaked.append(session)
        return PlainTextResponse("leaked")

    app = make()
    app.router.routes.append(Route("/leaks/{number}", leak))
    watch = sessionwatch.install(app, sessionwatch.Settings(log_findings=False))
    try:
        request(app, "/leaks/7")
        (finding,) = watch.snapshot().findings
        assert (finding["code"], finding["owner"]["route"]) == ("SW101", "GET /leaks/{number}")
        assert finding["opened_at"]["function"] == "leak"
        leaked.pop().close()
    finally:
        watch.stop()


def test_it_starts_the_watch_and_stop_undoes_it():
    original = Session.__init__
    watch = sessionwatch.install(FastAPI())
    assert watch.running
    assert Session.__init__ is not original
    watch.stop()
    assert not watch.running
    assert Session.__init__ is original


def test_it_takes_a_watch_of_ones_own():
    own = sessionwatch.SessionWatch()
    assert sessionwatch.install(FastAPI(), watch=own) is own
    own.stop()


def test_an_application_that_serves_already_is_refused():
    app = FastAPI()
    request(app, "/")
    original = Session.__init__
    with pytest.raises(RuntimeError, match="already serves requests"):
        sessionwatch.install(app)
    assert Session.__init__ is original


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_an_application_that_is_starting_up_is_refused(make):
    refused = []

    @asynccontextmanager
    async def lifespan(app):
        with pytest.raises(RuntimeError, match="already serves requests"):
            sessionwatch.install(app)
        refused.append(app)
        yield

    app = make(lifespan=lifespan)
    assert start_and_stop(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert refused == [app]


def test_twice_is_refused():
    app = FastAPI()
    watch = sessionwatch.install(app)
    try:
        with pytest.raises(RuntimeError, match="installed in this application already"):
            sessionwatch.install(app)
    finally:
        watch.stop()


def test_settings_beside_a_watch_are_refused_rather_than_ignored():
    with pytest.raises(ValueError, match="a watch has its settings already"):
        sessionwatch.install(
            FastAPI(), sessionwatch.Settings(token="key"), watch=sessionwatch.SessionWatch()
        )


def test_an_application_that_is_wrapped_already_is_refused():
    class Wrapper:
        """Any ASGI middleware that was applied by hand."""

    with pytest.raises(TypeError, match="Wrapper is no FastAPI or Starlette application"):
        sessionwatch.install(Wrapper())


def test_a_refused_path_leaves_the_application_as_it_was():
    app = FastAPI()
    before = app.build_middleware_stack
    with pytest.raises(ValueError, match="begin it with a slash"):
        sessionwatch.install(app, path="debug")
    assert app.build_middleware_stack == before
