"""The application, made with whichever dependency it is given."""

import inspect
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Depends, FastAPI

from demo_app import routes
from demo_app.variants import Variant


def function_scope_supported() -> bool:
    """Whether this FastAPI can end a dependency before the response (0.121 and newer)."""
    return "scope" in inspect.signature(Depends).parameters


class DecoratedRouter(APIRouter):
    """Declares each handler with a decorator around it, as if that stood above every one."""

    def __init__(self, decorator: Callable[..., Any]) -> None:
        super().__init__()
        self._decorator = decorator

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Declare a route as APIRouter does."""
        super().add_api_route(path, self._decorator(endpoint), **options)


def create_app(
    get_db: Callable[..., Any],
    *,
    scope: Literal["function"] | None = None,
    is_async: bool = False,
    create_session: Callable[[], Any] | None = None,
    middleware: Callable[..., Any] | None = None,
    decorator: Callable[..., Any] | None = None,
) -> FastAPI:
    """Return the shop, with every route's session injected through `get_db`.

    `scope` is how long a session lives, for a FastAPI that can be told. `create_session` opens
    the sessions of background tasks, which have no dependency to get theirs from.
    `middleware` goes around the application, `decorator` around each handler.
    """
    dependency = (
        Depends(get_db, scope="function")
        if scope == "function" and function_scope_supported()
        else Depends(get_db)
    )
    router = APIRouter() if decorator is None else DecoratedRouter(decorator)
    if is_async:
        from demo_app import async_routes  # needs greenlet, which SQLAlchemy 2.1 does not install

        async_routes.declare_routes(router, dependency, create_session)
    else:
        routes.declare_routes(router, dependency, create_session)
    app = FastAPI(title="A small shop")
    app.include_router(router)
    if middleware is not None:
        app.add_middleware(middleware)
    return app


def create_variant_app(variant: Variant, create_session: Callable[[], Any]) -> FastAPI:
    """Return the shop under a variant, with all its sessions from that factory."""
    wiring = variant.wire(create_session)
    return create_app(
        wiring.get_db,
        scope=variant.scope,
        is_async=variant.is_async,
        create_session=create_session,
        middleware=wiring.middleware,
        decorator=wiring.decorator,
    )
