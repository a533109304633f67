"""Saying in the code itself that something is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

from sessionwatch.instruments.attribution import current_owner
from sessionwatch.instruments.endpoints import ALLOWED_ATTRIBUTE, allowed_by
from sessionwatch.rules.codes import require_codes, whole_codes

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


class allow:  # noqa: N801
    """Says that a route, or the request or job that runs now, does on purpose what codes name.

    `@allow("SW201")` above a route's function lets each of its requests do so; `with
    allow("SW201"):` does the same for the one that runs the block, from there to its end. Outside
    a request or job the block changes nothing. Beginnings of codes count too ("SW2"). Raises
    `ValueError` for a code that does not exist.
    """

    def __init__(self, *codes: str) -> None:
        if not codes:
            raise ValueError('name the findings that are meant: allow("SW201")')
        self.codes = whole_codes(require_codes(codes))

    def __call__(self, endpoint: _Endpoint) -> _Endpoint:
        """Mark a route's function, and return that very function."""
        setattr(endpoint, ALLOWED_ATTRIBUTE, self.codes | allowed_by(endpoint))
        return endpoint

    def __enter__(self) -> Self:
        owner = current_owner.get()
        if owner is not None:
            owner.allowed |= self.codes
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the allowance with the owner, which is judged later than the block ends."""
