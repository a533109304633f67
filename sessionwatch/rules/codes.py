"""Codes that people write, checked."""

from __future__ import annotations

from collections.abc import Iterable

from sessionwatch.rules.catalog import CATALOG
from sessionwatch.rules.lookup import nearest


def require_codes(codes: Iterable[str]) -> frozenset[str]:
    """Return the codes as a set; raise `ValueError` that names the nearest for an unknown one."""
    for code in codes:
        if code not in CATALOG:
            known = nearest(str(code), CATALOG)
            raise ValueError(f"there is no finding {code!r}; did you mean {known!r}?")
    return frozenset(codes)
