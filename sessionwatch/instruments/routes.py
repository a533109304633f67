"""The template of the route that a request was sent to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from starlette.routing import BaseRoute, Host, Mount, compile_path

from sessionwatch.instruments.endpoints import Scope

_WRAPPERS = 32


def route_label(scope: Scope, method: str, base_path: str, app: Any) -> str | None:
    """Return "GET /items/{id}" for a request that has been routed, else None.

    `base_path` is the root path that the server itself had set, which is no part of the template;
    `app` is the outermost application, or what is wrapped around it.
    FastAPI leaves the route in the scope; so does Starlette from 1.0 on, and before that the route
    is found again among the application's.
    """
    mounted_at = scope.get("root_path", "").removeprefix(base_path)
    if mounted_at:
        mounted_at = _mounts_template(_router_in(app) or scope.get("app"), mounted_at)
    template = _template_in(scope)
    if template is not None:
        return f"{method} {mounted_at}{template}"
    if "endpoint" not in scope:
        return None
    routes = getattr(_router_in(app) or scope.get("app"), "routes", ())
    path = str(scope.get("path", "")).removeprefix(base_path)
    for template in _templates_of(scope["endpoint"], routes, ""):
        with suppress(ValueError):  # two parameters of one name, in a mount and beneath it
            pattern, path_format, _ = compile_path(template)
            if pattern.match(path):
                return f"{method} {path_format}"
    return f"{method} {mounted_at}" if mounted_at else None


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


def _router_in(app: Any) -> Any:
    """Return the application that has routes, from beneath its middlewares."""
    for _ in range(_WRAPPERS):
        if app is None or hasattr(app, "routes"):
            return app
        app = getattr(app, "app", None)
    return None


def _mounts_template(router: Any, path: str) -> str:
    """Return the path that a request is mounted at as a template, for it may hold values too.

    The scope has it filled in: `/tenants/ada` of `Mount("/tenants/{tenant}")`.
    """
    template = getattr(router, "root_path", "")
    if not path.startswith(template):
        template = ""
    rest, routes = path.removeprefix(template) + "/", getattr(router, "routes", ())
    while rest != "/":
        for mount in _mounts(routes):
            found = mount.path_regex.match(rest)
            if found is not None:
                break
        else:
            break
        template += mount.path_format.removesuffix("/{path}")
        rest, routes = f"/{found['path']}", mount.routes or ()
    return template + rest.removesuffix("/")


def _mounts(routes: Iterable[BaseRoute]) -> Iterator[Mount]:
    for route in routes:
        if isinstance(route, Mount):
            yield route
        elif isinstance(route, Host):
            yield from _mounts(route.routes)


def _templates_of(endpoint: Any, routes: Iterable[BaseRoute], prefix: str) -> Iterator[str]:
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount | Host):
            yield from _templates_of(endpoint, route.routes or (), path)
        elif getattr(route, "endpoint", None) is endpoint:
            yield path
