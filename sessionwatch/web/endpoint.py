"""The routes of `/debug/sessions`."""

# Annotations stay real objects here: FastAPI reads those of the functions inside `router`.

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
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
from sessionwatch.web.filters import Filters, Form, narrow
from sessionwatch.web.login import COOKIE, LONGEST_FORM, cookie_of, token_in
from sessionwatch.web.models import (
    SessionWatchRefusal,
    SessionWatchReport,
    SessionWatchTimeline,
)
from sessionwatch.web.page import Page, login_page, owner_page, refusal_page, sessions_page
from sessionwatch.web.preference import prefers_page
from sessionwatch.web.stream import events
from sessionwatch.web.token import is_token

_T = TypeVar("_T")
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
DEFAULT_PATH = "/debug/sessions"
EVENTS, LOGIN, OWNER = "/events", "/login", "/owners/{number}"
_NO_SUCH_OWNER = (
    "No owner of this number is known here: its course is not kept any more, or it belongs to "
    "another process."
)
_NEVER_STORED = {"Cache-Control": "no-store"}
_NEVER_BUFFERED = {"X-Accel-Buffering": "no"}


def router(watch: SessionWatch, path: str = DEFAULT_PATH) -> APIRouter:
    """Return the routes, for an application that mounts them by hand.

    Raises `ValueError` for a path without a slash in front.
    """
    if not path.startswith("/"):
        raise ValueError(f"path is {path!r}: begin it with a slash, as in {DEFAULT_PATH!r}")
    token = watch.settings.token

    def refused(request: Request) -> Response | None:
        """Return the page that a browser is refused with; raise for any other client."""
        client = request.client.host if request.client else None
        reason = refusal(token, client, request.headers)
        if reason is None:
            return None
        if not _wants_page(request):
            raise HTTPException(403, reason, headers=_NEVER_STORED)
        if token is None:
            return _html(refusal_page(reason), 403)
        here = ".." if "number" in request.path_params else request.url.path.rpartition("/")[2]
        return _html(login_page(here + LOGIN), 403)

    class GuardedRoute(APIRoute):
        """Refuses before anything of the request is looked at."""

        def get_route_handler(self) -> _Handler:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                return refused(request) or await handle(request)

            return guarded

    async def read_sessions(request: Request, filters: Annotated[Filters, Query()]) -> Any:
        """Tell what was counted, which sessions are open now, and what was found."""
        if _wants_page(request):
            return _html(sessions_page())
        return _json(await _in_thread(_report, watch, filters))

    async def read_owner(
        request: Request,
        number: Annotated[int, PathParameter(ge=1, description="The `id` of an owner.")],
        form: Annotated[Form, Query()],
    ) -> Any:
        """Tell what one request or job did and when: those under way, and the latest others."""
        timeline = await _in_thread(watch.timeline, number)
        if timeline is None and _wants_page(request):
            return _html(refusal_page(_NO_SUCH_OWNER), 404)
        if timeline is None:
            raise HTTPException(404, _NO_SUCH_OWNER, headers=_NEVER_STORED)
        if _wants_page(request):
            return _html(owner_page(timeline, "../../" + path.rpartition("/")[2]))
        return _json(json.dumps(timeline, separators=(",", ":")))

    async def stream_sessions(request: Request) -> Response:
        page = refused(request)
        if page is not None:
            return page
        try:
            filters = Filters.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_context=False)) from None
        first = await _in_thread(_report, watch, filters)
        return StreamingResponse(
            events(first, lambda: _in_thread(_report, watch, filters)),
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

    dependencies = []
    routes = APIRouter(tags=["sessionwatch"], route_class=GuardedRoute)
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
            200: {"content": _page()},
            403: _refused("Not for this client."),
        },
    )
    routes.add_api_route(
        path + OWNER,
        read_owner,
        name="sessionwatch_owner",
        summary="What one request or job did, and when",
        dependencies=dependencies,
        response_model=SessionWatchTimeline,
        response_class=JSONResponse,
        responses={
            200: {"content": _page()},
            403: _refused("Not for this client."),
            404: _refused("Nothing is known of such an owner."),
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
        added += [Route(path + each, alone) for each in (EVENTS, LOGIN, OWNER)]
    app.router.routes[:0] = added


def _page() -> dict[str, Any]:
    """Describe a page for OpenAPI, anew each time: FastAPI 0.115 adds to what it is given."""
    return {"text/html": {"schema": {"type": "string"}}}


def _refused(description: str) -> dict[str, Any]:
    return {"model": SessionWatchRefusal, "content": _page(), "description": description}


async def _in_thread(read: Callable[..., _T], *arguments: Any) -> _T:
    """Read with a limiter of its own, as the threads that sync handlers share may all be waiting
    for a connection: just then this page is needed.
    """
    return await to_thread.run_sync(read, *arguments, limiter=CapacityLimiter(1))


def _report(watch: SessionWatch, filters: Filters) -> str:
    """Write the report; the models describe it, so that nothing is left out or refused here.

    In ASCII, unlike `JSONResponse`: a job named after a file may hold what UTF-8 cannot.
    """
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


def _json(content: str) -> Response:
    return Response(content, media_type="application/json", headers=_NEVER_STORED)


def _html(page: Page, status: int = 200) -> Response:
    return HTMLResponse(page.html, status, headers=page.headers)
