"""The application, made with whichever dependency it is given."""

import inspect
from collections.abc import Callable
from typing import Any, Literal

from fastapi import Depends, FastAPI

from demo_app import routes


def function_scope_supported() -> bool:
    """Whether this FastAPI can end a dependency before the response (0.121 and newer)."""
    return "scope" in inspect.signature(Depends).parameters


def create_app(
    get_db: Callable[..., Any],
    *,
    scope: Literal["function"] | None = None,
    is_async: bool = False,
    create_session: Callable[[], Any] | None = None,
) -> FastAPI:
    """Return the shop, with every route's session injected through `get_db`.

    `scope` is how long a session lives, for a FastAPI that can be told. `create_session` opens
    the sessions of background tasks, which have no dependency to get theirs from.
    """
    dependency = (
        Depends(get_db, scope="function")
        if scope == "function" and function_scope_supported()
        else Depends(get_db)
    )
    app = FastAPI(title="A small shop")
    if is_async:
        from demo_app import async_routes  # needs greenlet, which SQLAlchemy 2.1 does not install

        app.include_router(async_routes.create_router(dependency, create_session))
    else:
        app.include_router(routes.create_router(dependency, create_session))
    return app
