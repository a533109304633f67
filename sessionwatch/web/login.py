"""A cookie instead of the token, for browsers, which send no header of one's own."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qs

from sessionwatch.web.token import bytes_of

COOKIE = "sessionwatch"
_PURPOSE = b"sessionwatch cookie 1"
LONGEST_FORM = 8192


def cookie_of(token: str) -> str:
    """Return what stands for a token in a cookie; the token can't be told from it."""
    return hmac.new(bytes_of(token), _PURPOSE, hashlib.sha256).hexdigest()


def has_cookie(token: str, given: str | None) -> bool:
    """Whether a cookie stands for this token; compares in constant time."""
    return given is not None and hmac.compare_digest(
        given.encode("utf-8", "replace"), cookie_of(token).encode()
    )


def token_in(body: bytes) -> bytes:
    """Return the field `token` of a form; nothing where there is none, or it is too long."""
    if len(body) > LONGEST_FORM:
        return b""
    fields = parse_qs(body.decode("latin-1"), encoding="latin-1")
    return fields.get("token", [""])[0].encode("latin-1")
