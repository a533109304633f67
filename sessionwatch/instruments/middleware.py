"""Each request and WebSocket as an owner, from pure ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from sessionwatch.instruments.attribution import current_owner
from sessionwatch.instruments.detached import error_left
from sessionwatch.instruments.endpoints import Scope, allowed_by, endpoint_code
from sessionwatch.instruments.routes import route_label
from sessionwatch.instruments.shutdown import Lifespan
from sessionwatch.instruments.threads import checkout_waited
from sessionwatch.records.owner import Owner

if TYPE_CHECKING:
    from sessionwatch.watch import SessionWatch

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SCOPE_KEY = "sessionwatch.owner"
_OWNER_KINDS = {"http": "request", "websocket": "websocket"}


class RequestOwner(Owner):
    """A request or WebSocket; it knows its route as soon as it has been routed."""

    __slots__ = ("app", "base_path", "method")

    app: Any
    """The outermost application, which those that are mounted in it replace in the scope."""

    method: str
    base_path: str
    """The root path that the server itself had set."""

    def locate(self) -> str | None:
        """Return the label of the route, which stands in the scope until the request is over."""
        if not self.scope:
            return None
        return route_label(self.scope, self.method, self.base_path, self.app)

    def find_allowed(self) -> frozenset[str]:
        """Return what `allow` says of the route's function."""
        return allowed_by(self.scope and self.scope.get("endpoint"))


class SessionWatchMiddleware:
    """Attributes what a request does to the request, and judges it when the app has returned.

    FastAPI runs the exits of `yield` dependencies and background tasks before the app returns
    (0.115 to 0.165), so that every session of a request must be settled by then.
    """

    def __init__(self, app: ASGIApp, watch: SessionWatch) -> None:
        self.app = app
        self.watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, or the lifespan; any other type passes through untouched."""
        watch = self.watch
        kind = _OWNER_KINDS.get(scope["type"])
        if kind is None or not watch.running or _SCOPE_KEY in scope:
            if scope["type"] == "lifespan":
                await self._live(scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        clock = watch.clock
        method = scope["method"] if kind == "request" else "WEBSOCKET"
        owner = scope[_SCOPE_KEY] = RequestOwner(kind, f"{method} (no route)", watch, clock())
        owner.scope, owner.method = scope, method
        owner.base_path = scope.get("root_path", "")
        owner.app = scope.get("app", self.app)

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                owner.status = message["status"]
                owner.response_started_ns = clock()
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                owner.response_completed_ns = clock()

        token = watch.begin_owner(owner)
        try:
            await self.app(scope, receive, send_and_note)
        except BaseException as error:
            error_left(owner, error, scope)
            if kind == "request" and owner.error and owner.status is None:
                owner.status = 500
            raise
        finally:
            current_owner.reset(token)
            scope.pop(_SCOPE_KEY, None)
            if owner.failed:
                owner.endpoint = endpoint_code(scope)
            if owner.waited_for is not None:
                checkout_waited(owner, owner.waited_for)
            watch.end_owner(owner)
            owner.app = None

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the lifespan on; of several middlewares of one watch, only the outermost judges."""
        outer = scope.get(_SCOPE_KEY, ())
        if self.watch in outer:
            await self.app(scope, receive, send)
            return
        scope[_SCOPE_KEY] = (*outer, self.watch)
        lifespan = Lifespan(self.watch, receive, send)
        try:
            await self.app(scope, lifespan.receive, lifespan.send)
        finally:
            lifespan.over()
            scope.pop(_SCOPE_KEY, None)
