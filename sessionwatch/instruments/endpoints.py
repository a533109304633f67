"""The function that a request was sent to, and what stands on it."""

from __future__ import annotations

import inspect
from collections.abc import MutableMapping
from types import CodeType
from typing import Any

from sessionwatch.instruments.attribution import guarded
from sessionwatch.records.owner import NOTHING_ALLOWED

Scope = MutableMapping[str, Any]

ALLOWED_ATTRIBUTE = "__sessionwatch_allowed__"


def allowed_by(endpoint: Any) -> frozenset[str]:
    """Return the codes that `allow` has put on a route's function."""
    codes: frozenset[str] = getattr(endpoint, ALLOWED_ATTRIBUTE, NOTHING_ALLOWED)
    return codes


@guarded
def endpoint_code(scope: Scope) -> CodeType | None:
    """Return the code of the handler that the request was sent to, without its decorators.

    An endpoint may be any object, and raise whatever it likes when it is asked for them.
    """
    code = getattr(inspect.unwrap(scope.get("endpoint")), "__code__", None)  # type: ignore[arg-type]
    return code if isinstance(code, CodeType) else None
