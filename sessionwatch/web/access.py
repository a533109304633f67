"""Who may read `/debug/sessions`: whoever has the token, or else only this very machine.

A browser has a cookie in the token's place, once its user has logged in.

A proxy on this machine that passes requests on with a loopback Host and adds no header of its own
(as a bare `proxy_pass` of nginx does) cannot be told from a local client: behind one, set a token.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from starlette.requests import cookie_parser

from sessionwatch.web.login import COOKIE, has_cookie
from sessionwatch.web.token import is_token

_FORWARDING_HEADERS = {
    "cf-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-original-forwarded-for",
    "x-original-host",
    "x-real-ip",
}
_FORWARDING_PREFIX = "x-forwarded-"
_HOST = re.compile(r"(?:\[(?P<in_brackets>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::[0-9]*)?")

UNAUTHORIZED = (
    "this page asks for a token: send the header `Authorization: Bearer <token>` with the token "
    "that the application gave to sessionwatch.Settings(token=...)"
)
ONLY_LOCAL = (
    "this page answers only to requests from the machine that it runs on, with a Host such as "
    "localhost, from no other site's page and with no proxy between; to read it from elsewhere, "
    "or through a proxy, set sessionwatch.Settings(token=...) and send the header "
    "`Authorization: Bearer <token>`"
)


def refusal(token: str | None, client_host: str | None, headers: Mapping[str, str]) -> str | None:
    """Return why a request is refused and what to do about it, or None when it may read on.

    `headers` looks names up without regard to case, and iterates over them in lower case.
    """
    if token is not None:
        return None if _is_known(token, headers) else UNAUTHORIZED
    local = (
        is_loopback(client_host or "")
        and is_loopback(_host_name(headers.get("host", "")))
        and not _is_from_another_site(headers.get("origin"))
        and not _was_forwarded(headers)
    )
    return None if local else ONLY_LOCAL


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine; an IPv4 address in IPv6 counts as IPv4."""
    if host.removesuffix(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_known(token: str, headers: Mapping[str, str]) -> bool:
    """Whether the token is sent; a cookie counts where it is not, and where no other page asks."""
    authorization = headers.get("authorization")
    if authorization is not None:
        return _has_token(token, authorization)
    given = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return has_cookie(token, given) and not _asks_for_another_page(headers)


def _has_token(token: str, authorization: str) -> bool:
    """Compare as bytes: ASGI servers hand them on as Latin-1."""
    scheme, _, given = authorization.partition(" ")
    same = is_token(given.encode("latin-1", "replace"), token)
    return same and scheme.lower() == "bearer"


def _asks_for_another_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks on behalf of a page of another origin, even if of the same site."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return True
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _host_name(host: str) -> str:
    """Return a Host header's name without its port, "" when malformed: `[::1]:8000` is `::1`."""
    found = _HOST.fullmatch(host)
    return (found["in_brackets"] or found["name"]) if found else ""


def _is_from_another_site(origin: str | None) -> bool:
    """Whether a browser asks on behalf of a page from elsewhere.

    The client and the Host of such a request are local, and an application whose CORS rules allow
    every origin would let that page read the answer.
    """
    return origin is not None and not is_loopback(_host_name(origin.partition("://")[2]))


def _was_forwarded(names: Iterable[str]) -> bool:
    return any(name in _FORWARDING_HEADERS or name.startswith(_FORWARDING_PREFIX) for name in names)
