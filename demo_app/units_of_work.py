"""The ways to end a session's work that take more than a dependency: they go around something.

A middleware goes around the whole application, a decorator around each handler; `get_db` hands out
the session that they commit, roll back and close. As in `dependencies`, each function below is
handed a session factory, and its body is what is shown and judged.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy.orm import scoped_session
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request


class Wiring(NamedTuple):
    """What a variant puts into the application."""

    get_db: Callable[..., Any]
    middleware: Callable[..., Any] | None = None
    """An ASGI middleware, to go around the whole application."""
    decorator: Callable[..., Any] | None = None
    """To go around each handler, which is called with its session as `db`."""


# ruff: noqa: D103, N803
# mypy: disable-error-code="no-untyped-def"


def http_middleware(SessionLocal):
    class SessionMiddleware(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            db = request.state.db = SessionLocal()
            try:
                response = await call_next(request)
                db.commit()
            except:
                db.rollback()
                raise
            finally:
                db.close()
            return response

    def get_db(request: Request):
        return request.state.db

    return Wiring(get_db, middleware=SessionMiddleware)


def middleware_commit(SessionLocal):
    class SessionMiddleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] != "http":
                return await self.app(scope, receive, send)
            db = SessionLocal()
            scope.setdefault("state", {})["db"] = db
            try:
                await self.app(scope, receive, send)
                db.commit()
            except:
                db.rollback()
                raise
            finally:
                db.close()

    def get_db(request: Request):
        return request.state.db

    return Wiring(get_db, middleware=SessionMiddleware)


def response_commit(SessionLocal):
    class SessionMiddleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] != "http":
                return await self.app(scope, receive, send)
            db = SessionLocal()
            scope.setdefault("state", {})["db"] = db

            async def end_work_and_send(message):
                if message["type"] == "http.response.start":
                    if message["status"] < 400:
                        db.commit()
                    else:
                        db.rollback()
                await send(message)

            try:
                await self.app(scope, receive, end_work_and_send)
            except:
                db.rollback()
                raise
            finally:
                db.close()

    def get_db(request: Request):
        return request.state.db

    return Wiring(get_db, middleware=SessionMiddleware)


def scoped(SessionLocal):
    request_id: ContextVar[UUID] = ContextVar("request_id")
    registry = scoped_session(SessionLocal, request_id.get)

    class SessionMiddleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] != "http":
                return await self.app(scope, receive, send)
            request_id.set(uuid4())
            try:
                await self.app(scope, receive, send)
                registry.commit()
            except:
                registry.rollback()
                raise
            finally:
                registry.remove()

    def get_db():
        return registry()

    return Wiring(get_db, middleware=SessionMiddleware)


def transactional(SessionLocal):
    def get_db():
        with SessionLocal(expire_on_commit=False) as db:
            yield db

    def transactional(handler):
        @wraps(handler)
        def in_transaction(db, **arguments):
            try:
                answer = handler(db=db, **arguments)
                db.commit()
            except:
                db.rollback()
                raise
            return answer

        return in_transaction

    return Wiring(get_db, decorator=transactional)
