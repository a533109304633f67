"""HTTP requests that go out while a transaction is open; only for a watch that asks for it."""

from __future__ import annotations

import functools
import http.client
import importlib
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import Connection

from sessionwatch import records
from sessionwatch.instruments.attribution import guarded, owner_now, running_task
from sessionwatch.instruments.holds import hold_of
from sessionwatch.instruments.patches import Patch
from sessionwatch.instruments.statements import is_autocommit
from sessionwatch.records.connection import ConnectionHold
from sessionwatch.records.owner import Owner

_Where = tuple[weakref.ref[Any] | None, int]
"""The task, if any, and the thread in which a transaction began."""

_begun: dict[weakref.ref[Connection], _Where] = {}


@guarded
def transaction_begun(connection: Connection) -> None:
    """Remember a connection that begins a transaction, and where it does."""
    task = running_task()
    where = (None if task is None else weakref.ref(task), threading.get_ident())
    _begun[weakref.ref(connection, _forget)] = where


def _forget(reference: weakref.ref[Connection]) -> None:
    _begun.pop(reference, None)


@guarded
def call_goes_out(host: str | None, depth: int) -> None:
    """Tell of a request to a host if the code that sends it has a transaction open."""
    owner = owner_now()
    if owner is None or not owner.recorder.watches_outbound or not host:
        return
    hold = _open_transaction(owner)
    if hold is not None:
        at, _ = owner.recorder.capture(sys._getframe(depth))
        owner.recorder.incident(records.incident.OutboundCall(owner, at, host, hold))


def _open_transaction(owner: Owner) -> ConnectionHold | None:
    for reference, where in list(_begun.items()):
        connection = reference()
        if connection is None or connection.closed or not connection.in_transaction():
            _forget(reference)
        elif _is_here(where, owner) and not is_autocommit(connection):
            hold = hold_of(connection)
            if hold is not None and hold.owner is owner:
                return hold
    return None


def _is_here(where: _Where, owner: Owner) -> bool:
    """Whether the code that runs now is what has begun the transaction.

    A request hops between worker threads and its own task, one after the other.
    """
    task, thread = where
    now = running_task()
    if task is not None:
        return task() is now
    if owner.is_served:
        return now is None or now is owner.task
    return thread == threading.get_ident()


def _wrap_begin(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def begin(self: Connection) -> Any:
        transaction = original(self)
        transaction_begun(self)
        return transaction

    return begin


def _wrap_putrequest(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def putrequest(self: http.client.HTTPConnection, *arguments: Any, **options: Any) -> Any:
        host = getattr(self, "_tunnel_host", None) or self.host
        call_goes_out(_without_credentials(host), _CALLER)
        return original(self, *arguments, **options)

    return putrequest


def _without_credentials(host: str) -> str:
    """Return the host alone: urllib takes `user:password@host` for the name of a host."""
    return host.rpartition("@")[2]


def _wrap_handle_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def handle_request(self: Any, request: Any) -> Any:
        call_goes_out(request.url.host, _CALLER)
        return original(self, request)

    return handle_request


def _wrap_handle_async_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def handle_async_request(self: Any, request: Any) -> Any:
        call_goes_out(request.url.host, _CALLER)
        return await original(self, request)

    return handle_async_request


def _wrap_aiohttp(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _request(self: Any, method: str, url: Any, *arguments: Any, **options: Any) -> Any:
        call_goes_out(_host_of(self, url), _CALLER)
        return await original(self, method, url, *arguments, **options)

    return _request


def _host_of(session: Any, url: Any) -> str | None:
    """Return the host that aiohttp is asked for, or that of the session's base URL."""
    with suppress(ValueError):
        return urlsplit(str(url)).hostname or getattr(
            getattr(session, "_base_url", None), "host", None
        )
    return None


_CALLER = 3
_Wrap = Callable[[Any], Any]
_CLIENTS: tuple[tuple[str, str, str, _Wrap], ...] = (
    ("http.client", "HTTPConnection", "putrequest", _wrap_putrequest),
    ("httpx", "HTTPTransport", "handle_request", _wrap_handle_request),
    ("httpx", "AsyncHTTPTransport", "handle_async_request", _wrap_handle_async_request),
    ("httpx2", "HTTPTransport", "handle_request", _wrap_handle_request),
    ("httpx2", "AsyncHTTPTransport", "handle_async_request", _wrap_handle_async_request),
    ("aiohttp", "ClientSession", "_request", _wrap_aiohttp),
)
"""What each package sends its requests with: urllib, requests and urllib3 use http.client; the
transports of httpx are what reaches the network, as against an application in this process."""


class Outbound:
    """The patches of every client that is installed, applied while some watch asks for them."""

    def __init__(self) -> None:
        self._patches: list[Patch] | None = None
        self._watches = 0

    def turn_on(self) -> None:
        """Wrap the clients for one more watch; the first one has them imported."""
        self._watches += 1
        if self._watches > 1:
            return
        if self._patches is None:
            self._patches = [Patch(Connection, "begin", _wrap_begin), *_patches_of_clients()]
        for patch in self._patches:
            patch.apply()

    def turn_off(self) -> None:
        """Unwrap the clients for the last watch that asked."""
        self._watches -= 1
        if self._watches == 0:
            for patch in reversed(self._patches or ()):
                patch.remove()
            _begun.clear()


def _patches_of_clients() -> list[Patch]:
    patches = []
    for module, name, method, wrap in _CLIENTS:
        with suppress(Exception):
            owner = getattr(importlib.import_module(module), name)
            if method in vars(owner):
                patches.append(Patch(owner, method, wrap))
    return patches
