"""Modules of a package that are imported when somebody first asks the package for them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType


def imported_on_demand(package: str) -> Callable[[str], ModuleType]:
    """Return the `__getattr__` of a package (PEP 562) of whose modules few processes need all.

    It gives each module as an attribute, and raises `AttributeError` for what is none.
    """

    def module_of(name: str) -> ModuleType:
        full_name = f"{package}.{name}"
        try:
            return import_module(full_name)
        except ModuleNotFoundError as error:
            if error.name != full_name:
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return module_of
