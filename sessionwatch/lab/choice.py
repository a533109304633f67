"""Which variants and scenarios a run is about."""

from __future__ import annotations

from demo_app.variants import VARIANTS, Variant

from .errors import LabError
from .scenarios import SCENARIOS, Scenario
from .yours import Yours


def choose_variants(keys: tuple[str, ...], *, is_async: bool) -> tuple[Variant, ...]:
    """Return the variants of these keys, or all; raise LabError if one is unknown."""
    offered = _async_variants() if is_async else VARIANTS
    _check("variant", keys, [variant.key for variant in offered])
    return tuple(variant for variant in offered if not keys or variant.key in keys)


def choose_beside(yours: Yours, keys: tuple[str, ...]) -> tuple[Variant | Yours, ...]:
    """Return the user's dependency and the variants of these keys beside it, or all.

    `yours` is a key too, which stands for no other variant. Raises LabError if one is unknown.
    """
    others = tuple(key for key in keys if key != yours.key)
    if keys and not others:
        return (yours,)
    return (yours, *choose_variants(others, is_async=yours.is_async))


def choose_scenarios(keys: tuple[str, ...]) -> tuple[Scenario, ...]:
    """Return the scenarios of these keys, or all; raise LabError if one is unknown."""
    _check("scenario", keys, [scenario.key for scenario in SCENARIOS])
    return tuple(scenario for scenario in SCENARIOS if not keys or scenario.key in keys)


def _async_variants() -> tuple[Variant, ...]:
    from demo_app.async_variants import ASYNC_VARIANTS

    return ASYNC_VARIANTS


def _check(what: str, keys: tuple[str, ...], known: list[str]) -> None:
    for key in keys:
        if key not in known:
            raise LabError(f"unknown {what} {key!r}: choose from {', '.join(known)}")
