"""The token that opens the page, compared so that the time which that takes tells nothing of it."""

from __future__ import annotations

import hmac


def bytes_of(token: str) -> bytes:
    """Return a token's bytes; one from the environment may hold some that are no UTF-8."""
    return token.encode("utf-8", "surrogateescape").strip()


def is_token(given: bytes, token: str) -> bool:
    """Whether somebody gave the token; compares in constant time."""
    return hmac.compare_digest(given.strip(), bytes_of(token))
