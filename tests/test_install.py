"""`install` does all: starts the watch, stands outermost, and can be undone."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware

import sessionwatch
from sessionwatch.instruments.attribution import current_owner


def request(app, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client:
            return await client.get(path)

    return asyncio.run(send())


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
