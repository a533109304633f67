"""Who may read `/debug/sessions`: whoever has the token, or else only this very machine."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping

_FORWARDING_HEADERS = ("forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip")
_FORWARDING_PREFIX = "x-forwarded-"

UNAUTHORIZED = (
    "this page asks for a token: send the header `Authorization: Bearer <token>` with the token "
    "that the application gave to sessionwatch.Settings(token=...)"
)
ONLY_LOCAL = (
    "this page answers only to requests from the machine that it runs on, with a Host such as "
    "localhost and no proxy between; to read it from elsewhere, or through a proxy, set "
    "sessionwatch.Settings(token=...) and send the header `Authorization: Bearer <token>`"
)


def refusal(token: str | None, client_host: str | None, headers: Mapping[str, str]) -> str | None:
    """Return why a request is refused and what to do about it, or None when it may read on.

    `headers` looks names up without regard to case, and iterates over them in lower case.
    """
    if token is not None:
        return None if _has_token(token, headers.get("authorization", "")) else UNAUTHORIZED
    local = (
        is_loopback(client_host or "")
        and is_loopback(_host_name(headers.get("host", "")))
        and not _was_forwarded(headers)
    )
    return None if local else ONLY_LOCAL


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine; an IPv4 address in IPv6 counts as IPv4."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _has_token(token: str, authorization: str) -> bool:
    """Compare in constant time, as bytes: a header may hold what is no ASCII."""
    scheme, _, given = authorization.partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return same and scheme.lower() == "bearer"


def _host_name(host: str) -> str:
    """Return a Host header's name without its port: `[::1]:8000` is `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _was_forwarded(names: Iterable[str]) -> bool:
    return any(name in _FORWARDING_HEADERS or name.startswith(_FORWARDING_PREFIX) for name in names)
