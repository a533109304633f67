"""The template of the route that a request was sent to."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, MutableMapping
from types import CodeType
from typing import Any

from starlette.routing import BaseRoute, Mount, compile_path

from sessionwatch.instruments.attribution import guarded
from sessionwatch.records.owner import NOTHING_ALLOWED

Scope = MutableMapping[str, Any]

ALLOWED_ATTRIBUTE = "__sessionwatch_allowed__"


def route_label(scope: Scope, method: str, base_path: str) -> str | None:
    """Return "GET /items/{id}" for a request that has been routed, else None.

    `base_path` is the root path that the server itself had set, which is no part of the template.
    FastAPI leaves the route in the scope; so does Starlette from 1.0 on, and before that the route
    is found again among the application's.
    """
    mounted_at = scope.get("root_path", "").removeprefix(base_path)
    template = _template_in(scope)
    if template is not None:
        return f"{method} {mounted_at}{template}"
    if "endpoint" not in scope:
        return None
    routes = getattr(scope.get("app"), "routes", ())
    path = str(scope.get("path", "")).removeprefix(base_path)
    for template in _templates_of(scope["endpoint"], routes, ""):
        if compile_path(template)[0].match(path):
            return f"{method} {template}"
    return f"{method} {mounted_at}" if mounted_at else None


def allowed_by(endpoint: Any) -> frozenset[str]:
    """Return the codes that `allow` has put on a route's function."""
    codes: frozenset[str] = getattr(endpoint, ALLOWED_ATTRIBUTE, NOTHING_ALLOWED)
    return codes


@guarded
def endpoint_code(scope: Scope) -> CodeType | None:
    """Return the code of the handler that the request was sent to, without its decorators.

    An endpoint may be any object, and raise whatever it likes when it is asked for them.
    """
    code = getattr(inspect.unwrap(scope.get("endpoint")), "__code__", None)  # type: ignore[arg-type]
    return code if isinstance(code, CodeType) else None


def _template_in(scope: Scope) -> str | None:
    """Return the path of the route in the scope, without what it is mounted at.

    An included router's route knows only its own part of the path in FastAPI 0.165; the whole
    is in the context that FastAPI keeps in the scope (`_EffectiveRouteContext` in
    fastapi/routing.py, 0.165).
    """
    route = scope.get("route")
    if isinstance(route, Mount):
        return ""
    own = scope.get("fastapi")
    context = own.get("effective_route_context") if isinstance(own, dict) else None
    if context is not None and getattr(context, "original_route", None) is route:
        route = context
    template: str | None = getattr(route, "path_format", None) or getattr(route, "path", None)
    return template


def _templates_of(endpoint: Any, routes: Iterable[BaseRoute], prefix: str) -> Iterator[str]:
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount):
            yield from _templates_of(endpoint, route.routes or (), path)
        elif getattr(route, "endpoint", None) is endpoint:
            yield path
