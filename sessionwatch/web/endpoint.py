"""The routes of `/debug/sessions`."""

# Annotations stay real objects here: FastAPI reads those of the functions inside `router`.

import enum
import json
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sessionwatch.rules.catalog import CATALOG
from sessionwatch.watch import SessionWatch
from sessionwatch.web.access import refusal
from sessionwatch.web.filters import narrow
from sessionwatch.web.models import SessionWatchRefusal, SessionWatchReport

DEFAULT_PATH = "/debug/sessions"
MOST_ROWS = 1000
_NEVER_STORED = {"Cache-Control": "no-store"}

SessionWatchCode = enum.StrEnum(  # type: ignore[misc]
    "SessionWatchCode", {code: code for code in CATALOG}
)
RouteFilter = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=500,
        description="Only this route's numbers, open sessions and findings: an owner's name as "
        "`routes` has it, such as `GET /items/{id}`; `totals` and `pools` stay whole. A route "
        "that nothing is known of gives empty lists.",
    ),
]
CodeFilter = Annotated[
    SessionWatchCode | None,
    Query(description="Only findings of this code, such as `SW101`; all else stays whole."),
]
Limit = Annotated[
    int,
    Query(
        ge=1,
        le=MOST_ROWS,
        description="At most so many open sessions (the oldest), and so many findings (those "
        "last seen).",
    ),
]


def router(watch: SessionWatch, path: str = DEFAULT_PATH) -> APIRouter:
    """Return the routes, for an application that mounts them by hand.

    Raises `ValueError` for a path without a slash in front.
    """
    if not path.startswith("/"):
        raise ValueError(f"path is {path!r}: begin it with a slash, as in {DEFAULT_PATH!r}")

    async def may_read(request: Request) -> None:
        client = request.client.host if request.client else None
        reason = refusal(watch.settings.token, client, request.headers)
        if reason is not None:
            raise HTTPException(403, reason, headers=_NEVER_STORED)

    async def read_sessions(
        route: RouteFilter = None, code: CodeFilter = None, limit: Limit = 100
    ) -> Any:
        """Tell what was counted, which sessions are open now, and what was found."""
        # A limiter of its own, as the threads that sync handlers share may all be waiting for a
        # connection: just then this page is needed.
        return await to_thread.run_sync(
            _answer, watch, route, code, limit, limiter=CapacityLimiter(1)
        )

    dependencies = [Depends(may_read)]
    if watch.settings.token is not None:
        dependencies.append(Depends(HTTPBearer(scheme_name="sessionwatch", auto_error=False)))
    routes = APIRouter(tags=["sessionwatch"], dependencies=dependencies)
    routes.add_api_route(
        path,
        read_sessions,
        name="sessionwatch",
        summary="The sessions of this process",
        response_model=SessionWatchReport,
        response_class=JSONResponse,
        responses={403: {"model": SessionWatchRefusal, "description": "Not for this client."}},
    )
    return routes


def mount(app: Starlette, watch: SessionWatch, path: str) -> None:
    """Have an application answer at exactly `path`, whatever else it has routes for.

    Raises `ValueError` for a path without a slash in front.
    """
    page = router(watch, path)
    if isinstance(app, FastAPI):
        app.include_router(page)
        # It adds one route, last, where a route for all paths would hide it.
        app.router.routes.insert(0, app.router.routes.pop())
        return
    alone = FastAPI(openapi_url=None)
    alone.include_router(page)
    app.router.routes.insert(0, Route(path, alone, name="sessionwatch"))


def _answer(watch: SessionWatch, route: str | None, code: str | None, limit: int) -> Response:
    """Write the report; the models describe it, so that nothing is left out or refused here.

    In ASCII, unlike `JSONResponse`: a job named after a file may hold what UTF-8 cannot.
    """
    report = watch.snapshot().to_report()
    try:
        narrow(report, route=route, code=code, limit=limit)
    except ValueError as error:
        mistake = {
            "type": "value_error",
            "loc": ("query", "route"),
            "msg": str(error),
            "input": route,
        }
        raise RequestValidationError([mistake]) from None
    content = json.dumps(report, separators=(",", ":"))
    return Response(content, media_type="application/json", headers=_NEVER_STORED)
