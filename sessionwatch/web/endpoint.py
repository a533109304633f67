"""The routes of `/debug/sessions`."""

# Annotations stay real objects here: FastAPI reads those of the functions inside `router`.

import json
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from sessionwatch.watch import SessionWatch
from sessionwatch.web.access import refusal
from sessionwatch.web.filters import Filters, narrow
from sessionwatch.web.login import COOKIE, LONGEST_FORM, cookie_of, token_in
from sessionwatch.web.models import SessionWatchRefusal, SessionWatchReport
from sessionwatch.web.page import Page, login_page, refusal_page, sessions_page
from sessionwatch.web.preference import prefers_page
from sessionwatch.web.stream import events
from sessionwatch.web.token import is_token

DEFAULT_PATH = "/debug/sessions"
EVENTS, LOGIN = "/events", "/login"
_NEVER_STORED = {"Cache-Control": "no-store"}
_PAGE: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
_NEVER_BUFFERED = {"X-Accel-Buffering": "no"}


def router(watch: SessionWatch, path: str = DEFAULT_PATH) -> APIRouter:
    """Return the routes, for an application that mounts them by hand.

    Raises `ValueError` for a path without a slash in front.
    """
    if not path.startswith("/"):
        raise ValueError(f"path is {path!r}: begin it with a slash, as in {DEFAULT_PATH!r}")
    token = watch.settings.token

    def reason_to_refuse(request: Request) -> str | None:
        client = request.client.host if request.client else None
        return refusal(token, client, request.headers)

    async def may_read(request: Request) -> None:
        reason = reason_to_refuse(request)
        if reason is not None and not _wants_page(request):
            raise HTTPException(403, reason, headers=_NEVER_STORED)

    async def read_sessions(request: Request, filters: Annotated[Filters, Query()]) -> Any:
        """Tell what was counted, which sessions are open now, and what was found."""
        if not _wants_page(request):
            content = await _read(watch, filters)
            return Response(content, media_type="application/json", headers=_NEVER_STORED)
        reason = reason_to_refuse(request)
        if reason is None:
            return _html(sessions_page())
        if token is None:
            return _html(refusal_page(reason), 403)
        return _html(login_page(request.url.path.rpartition("/")[2] + LOGIN), 403)

    async def stream_sessions(request: Request) -> Response:
        await may_read(request)
        try:
            filters = Filters.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_context=False)) from None
        first = await _read(watch, filters)
        return StreamingResponse(
            events(first, lambda: _read(watch, filters)),
            media_type="text/event-stream",
            headers=_NEVER_STORED | _NEVER_BUFFERED,
        )

    async def log_in(request: Request) -> Response:
        given = token_in(await _form(request))
        if token is None or not is_token(given, token):
            return _html(login_page("", "That is not the token."), 403)
        page = request.url.path.removesuffix(LOGIN)
        answer = RedirectResponse(page, 303, headers=_NEVER_STORED)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            COOKIE, cookie_of(token), path=page, httponly=True, samesite="strict", secure=secure
        )
        return answer

    dependencies = [Depends(may_read)]
    routes = APIRouter(tags=["sessionwatch"])
    if token is not None:
        dependencies.append(Depends(HTTPBearer(scheme_name="sessionwatch", auto_error=False)))
        routes.add_route(path + LOGIN, log_in, ["POST"], include_in_schema=False)
    # Not as an API route: what the application has every route depend on would be held as long.
    routes.add_route(path + EVENTS, stream_sessions, ["GET"], include_in_schema=False)
    routes.add_api_route(
        path,
        read_sessions,
        name="sessionwatch",
        summary="The sessions of this process",
        dependencies=dependencies,
        response_model=SessionWatchReport,
        response_class=JSONResponse,
        responses={
            200: {"content": _PAGE},
            403: {
                "model": SessionWatchRefusal,
                "content": _PAGE,
                "description": "Not for this client.",
            },
        },
    )
    return routes


def mount(app: Starlette, watch: SessionWatch, path: str) -> None:
    """Have an application answer at `path`, whatever else it has routes for.

    Raises `ValueError` for a path without a slash in front.
    """
    page = router(watch, path)
    if isinstance(app, FastAPI):
        before = len(app.router.routes)
        app.include_router(page)
        # They come last, where a route for all paths would hide them.
        added = app.router.routes[before:]
        del app.router.routes[before:]
    else:
        alone = FastAPI(openapi_url=None)
        alone.include_router(page)
        added = [Route(path, alone, name="sessionwatch")]
        added += [Route(path + each, alone) for each in (EVENTS, LOGIN)]
    app.router.routes[:0] = added


async def _read(watch: SessionWatch, filters: Filters) -> str:
    """Write the report; the models describe it, so that nothing is left out or refused here.

    With a limiter of its own, as the threads that sync handlers share may all be waiting for a
    connection: just then this page is needed.
    """
    return await to_thread.run_sync(_report, watch, filters, limiter=CapacityLimiter(1))


def _report(watch: SessionWatch, filters: Filters) -> str:
    """In ASCII, unlike `JSONResponse`: a job named after a file may hold what UTF-8 cannot."""
    report = watch.snapshot().to_report()
    try:
        narrow(report, filters)
    except ValueError as error:
        mistake = {
            "type": "value_error",
            "loc": ("query", "route"),
            "msg": str(error),
            "input": filters.route,
        }
        raise RequestValidationError([mistake]) from None
    return json.dumps(report, separators=(",", ":"))


def _wants_page(request: Request) -> bool:
    asked = request.query_params.get("format")
    if asked is not None:
        return asked == "html"
    return prefers_page(request.headers.get("accept", ""))


async def _form(request: Request) -> bytes:
    """Return the body, or what has come of it when it is longer than any form of ours."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            break
    return body


def _html(page: Page, status: int = 200) -> Response:
    return HTMLResponse(page.html, status, headers=page.headers)
