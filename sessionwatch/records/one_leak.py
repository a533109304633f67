"""SW101 and SW103 are one leak, seen before or after the garbage collector happened to come."""

from __future__ import annotations

_ONE_LEAK = frozenset({"SW101", "SW103"})


def codes_by_chance(code: str) -> frozenset[str]:
    """Return the codes that a finding might have had as well, its own among them."""
    return _ONE_LEAK if code in _ONE_LEAK else frozenset({code})
