"""Small applications for the rules that look at requests."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import fastapi
import pytest
from fastapi import Depends, FastAPI

from sessionwatch import SessionWatch, SessionWatchMiddleware

FASTAPI = tuple(int(number) for number in fastapi.__version__.split(".")[:2])


@pytest.fixture
def exits_after_response() -> bool:
    """Whether this FastAPI runs the exits of `yield` dependencies after the response."""
    return FASTAPI >= (0, 118)


@pytest.fixture
def function_scope() -> dict[str, str]:
    """The argument of `Depends` that has the exit run before the response."""
    if "scope" not in inspect.signature(Depends).parameters:
        pytest.skip("this FastAPI has no dependency scopes")
    return {"scope": "function"}


@pytest.fixture
def web_watch(make_watch: Callable[..., SessionWatch]) -> SessionWatch:
    """A watch on the real clock, as requests take real time."""
    return make_watch(clock=time.perf_counter_ns, wall_clock=time.time)


@pytest.fixture
def found(web_watch: SessionWatch, read: type) -> Any:
    """What `web_watch` says."""
    return read(web_watch)


@pytest.fixture
def app(web_watch: SessionWatch) -> FastAPI:
    """A watched FastAPI application without routes."""
    app = FastAPI()
    app.add_middleware(SessionWatchMiddleware, watch=web_watch)
    return app


@pytest.fixture
def dependencies(make_session: Callable[[], Any]) -> SimpleNamespace:
    """The classic ways to write `get_db`."""

    def full() -> Iterator[Any]:
        db = make_session()
        try:
            yield db
            db.commit()
        except BaseException:
            db.rollback()
            raise
        finally:
            db.close()

    def close_only() -> Iterator[Any]:
        db = make_session()
        try:
            yield db
        finally:
            db.close()

    def no_finally() -> Iterator[Any]:
        db = make_session()
        yield db
        db.close()

    def returned() -> Any:
        return make_session()

    def begin() -> Iterator[Any]:
        with make_session() as db, db.begin():
            yield db

    @contextmanager
    def session_scope() -> Iterator[Any]:
        with make_session() as db:
            yield db
            db.commit()

    def scope() -> Iterator[Any]:
        with session_scope() as db:
            yield db

    class UnitOfWork:
        def __init__(self) -> None:
            self.session = make_session()

        def __enter__(self) -> Any:
            return self.session

        def __exit__(self, kind: type | None, *error: object) -> None:
            with self.session as session:
                if kind is None:
                    session.commit()

    def unit_of_work() -> Iterator[Any]:
        with UnitOfWork() as db:
            yield db

    return SimpleNamespace(
        full=full,
        close_only=close_only,
        no_finally=no_finally,
        returned=returned,
        begin=begin,
        scope=scope,
        unit_of_work=unit_of_work,
    )


@pytest.fixture
def answer(watched: Callable[[Any], Any], clock: Any, call: Callable[..., Any]) -> Any:
    """Run one request of a bare ASGI application, by the test's clock.

    `before` and `after` run before and after the response; the clock moves between all steps.
    """

    def answer(
        before: Callable[[], Any], after: Callable[[], Any] | None = None, status: int = 200
    ) -> Any:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            clock.advance()
            before()
            clock.advance()
            await send({"type": "http.response.start", "status": status, "headers": []})
            clock.advance()
            await send({"type": "http.response.body", "body": b"answer"})
            clock.advance()
            if after is not None:
                after()
            clock.advance()

        return call(watched(application))

    return answer
