"""Codes that people write, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sessionwatch.rules.catalog import CATALOG
from sessionwatch.rules.lookup import nearest


def require_codes(codes: Collection[str]) -> frozenset[str]:
    """Return codes, or what some begin with, as a set.

    Raises `ValueError` that names the nearest for an unknown one, and for what is no list.
    """
    if isinstance(codes, str):
        raise ValueError(f"allow is {codes!r}; write a list: allow=[{codes!r}]")
    for code in codes:
        if not code or not whole_codes([str(code)]):
            known = nearest(str(code), CATALOG)
            raise ValueError(f"there is no finding {code!r}; did you mean {known!r}?")
    return frozenset(codes)


def whole_codes(beginnings: Iterable[str]) -> frozenset[str]:
    """Return all codes that begin with one of these."""
    any_of_these = tuple(beginnings)
    return frozenset(code for code in CATALOG if code.startswith(any_of_these))
