"""Everything in one call."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware

from sessionwatch.instruments.middleware import SessionWatchMiddleware
from sessionwatch.settings import Settings
from sessionwatch.watch import SessionWatch

_MARK = "_sessionwatch"


def install(
    app: Starlette,
    settings: Settings | None = None,
    *,
    watch: SessionWatch | None = None,
    path: str = "/debug/sessions",
) -> SessionWatch:
    """Watch every session of a FastAPI or Starlette application; returns the running watch.

    Starts the watch, puts the middleware outermost, also of those that are added later, and
    answers at `path`. Without settings or a watch, the settings are those of `Settings.load()`.
    Raises `TypeError` for what is no such application, `ValueError` when both settings and a watch
    are given, a setting is wrong or the path has no slash in front, and `RuntimeError` when the
    application already serves requests or has sessionwatch installed.
    """
    from sessionwatch.web.endpoint import mount

    _require_installable(app)
    if watch is not None and settings is not None:
        raise ValueError("give either settings or a watch: a watch has its settings already")
    watch = watch or SessionWatch(settings)
    mount(app, watch, path)
    _put_outermost(app, watch)
    return watch.start()


def installed_watch(app: Starlette) -> SessionWatch | None:
    """Return the watch that `install` has put into an application, if it has."""
    watch: SessionWatch | None = vars(app).get(_MARK)
    return watch


def _require_installable(app: Starlette) -> None:
    if not isinstance(app, Starlette):
        raise TypeError(
            f"{type(app).__name__} is no FastAPI or Starlette application: wrap it by hand with "
            "SessionWatchMiddleware(app, watch), or install into the application inside it"
        )
    if app.middleware_stack is not None:
        raise RuntimeError(
            "the application already serves requests: call sessionwatch.install(app) before that, "
            "where the application is made"
        )
    if _MARK in vars(app):
        raise RuntimeError("sessionwatch is installed in this application already")


def _put_outermost(app: Starlette, watch: SessionWatch) -> None:
    """Add the middleware at the moment when Starlette puts the others together."""
    build: Any = app.build_middleware_stack

    def build_middleware_stack() -> Any:
        app.user_middleware.insert(0, Middleware(SessionWatchMiddleware, watch=watch))
        return build()

    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]
    setattr(app, _MARK, watch)
