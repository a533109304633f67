"""The routes of `/debug/sessions`."""

# Annotations stay real objects here: FastAPI reads those of the function inside `router`.

import enum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from starlette.applications import Starlette
from starlette.routing import Route

from sessionwatch.rules.catalog import CATALOG
from sessionwatch.watch import SessionWatch
from sessionwatch.web.access import refusal
from sessionwatch.web.models import Refusal, SessionsReport

DEFAULT_PATH = "/debug/sessions"
MOST_ROWS = 1000
Code = enum.StrEnum("Code", {code: code for code in CATALOG})  # type: ignore[misc]


def router(watch: SessionWatch, path: str = DEFAULT_PATH) -> APIRouter:
    """Return the routes, for an application that mounts them by hand."""

    def may_read(request: Request) -> None:
        client = request.client.host if request.client else None
        reason = refusal(watch.settings.token, client, request.headers)
        if reason is not None:
            raise HTTPException(403, reason)

    routes = APIRouter(tags=["sessionwatch"], dependencies=[Depends(may_read)])

    @routes.get(
        path,
        response_model=SessionsReport,
        responses={403: {"model": Refusal, "description": "Not for this client."}},
        summary="The sessions of this process",
    )
    def read_sessions(
        response: Response,
        route: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=500,
                description="Only this route's numbers, open sessions and findings: an owner's "
                "name as `routes` has it, such as `GET /items/{id}`.",
            ),
        ] = None,
        code: Annotated[
            Code | None, Query(description="Only findings of this code, such as `SW101`.")
        ] = None,
        limit: Annotated[
            int,
            Query(
                ge=1,
                le=MOST_ROWS,
                description="At most so many open sessions, and so many findings (the newest).",
            ),
        ] = 100,
    ) -> Any:
        """Tell what was counted, which sessions are open now, and what was found."""
        response.headers["Cache-Control"] = "no-store"
        report = watch.snapshot().to_dict()
        if route is not None:
            report["routes"] = {
                name: numbers for name, numbers in report["routes"].items() if name == route
            }
            for rows in ("open_sessions", "findings"):
                report[rows] = [row for row in report[rows] if row["owner"]["name"] == route]
        if code is not None:
            report["findings"] = [row for row in report["findings"] if row["code"] == code]
        report["open_sessions"] = report["open_sessions"][:limit]
        report["findings"] = report["findings"][-limit:]
        return report

    return routes


def mount(app: Starlette, watch: SessionWatch, path: str) -> None:
    """Have an application answer at exactly `path`; raises `ValueError` for a path without `/`."""
    if not path.startswith("/"):
        raise ValueError(f"path is {path!r}: begin it with a slash, as in {DEFAULT_PATH!r}")
    if isinstance(app, FastAPI):
        app.include_router(router(watch, path))
        return
    page = FastAPI(openapi_url=None)
    page.include_router(router(watch, path))
    app.router.routes.append(Route(path, page))
