"""The requests to applications that have no middleware of ours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette

from sessionwatch.installation import installed_watch
from sessionwatch.instruments.middleware import SessionWatchMiddleware
from sessionwatch.instruments.patches import Patch
from sessionwatch.watch import SessionWatch


def watching_requests(watch: SessionWatch) -> Patch:
    """Return what has every application's requests watched, but where a watch of its own runs."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def call(app: Starlette, scope: Any, receive: Any, send: Any) -> None:
            own = installed_watch(app)
            if scope["type"] == "lifespan" or (own is not None and own.running):
                await original(app, scope, receive, send)
                return
            scope["app"] = app
            middleware = SessionWatchMiddleware(functools.partial(original, app), watch)
            await middleware(scope, receive, send)

        return call

    return Patch(Starlette, "__call__", wrap)
