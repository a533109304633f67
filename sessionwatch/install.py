"""Everything in one call."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware

from sessionwatch.instruments.middleware import SessionWatchMiddleware
from sessionwatch.settings import Settings
from sessionwatch.watch import SessionWatch


def install(
    app: Starlette,
    settings: Settings | None = None,
    *,
    watch: SessionWatch | None = None,
    path: str = "/debug/sessions",
) -> SessionWatch:
    """Watch every session of a FastAPI or Starlette application; returns the running watch.

    Starts the watch, puts the middleware outermost, also of those that are added later, and
    answers at `path`. Raises `RuntimeError` when the application already serves requests.
    """
    from sessionwatch.web.endpoint import mount

    if app.middleware_stack is not None:
        raise RuntimeError(
            "the application already serves requests: call sessionwatch.install(app) before that, "
            "where the application is made"
        )
    watch = watch or SessionWatch(settings)
    _put_outermost(app, watch)
    mount(app, watch, path)
    return watch.start()


def _put_outermost(app: Starlette, watch: SessionWatch) -> None:
    """Add the middleware at the moment when Starlette puts the others together."""
    build: Any = app.build_middleware_stack

    def build_middleware_stack() -> Any:
        app.user_middleware.insert(0, Middleware(SessionWatchMiddleware, watch=watch))
        return build()

    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]
