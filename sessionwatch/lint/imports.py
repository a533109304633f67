"""What the imports of a project's files stand for: star imports, and folders on Python's path."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sessionwatch.lint.source import Module

LIBRARIES = ("sqlalchemy", "sqlmodel", "fastapi", "starlette")
_ELSEWHERE = sys.stdlib_module_names | set(LIBRARIES)
_MOST_STEPS = 8


def bind(modules: Sequence[Module], by_name: Mapping[str, Module], libraries: set[str]) -> None:
    """Complete the imports of all modules; `libraries` has full names that `*` may bring in."""
    known = {prefix for name in by_name for prefix in _prefixes(name)}
    for module in modules:
        module.imports = {
            name: _rooted(full, module.name, known) for name, full in module.imports.items()
        }
        module.stars = [_rooted(full, module.name, known) for full in module.stars]
    starred = [module for module in modules if module.stars]
    for _ in range(_MOST_STEPS):
        news = [_take_stars(module, by_name, libraries) for module in starred]
        if not any(news):
            break


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _rooted(full: str, importing: str, known: set[str]) -> str:
    """Return a full name, also where a folder above the importing module is on Python's path."""
    first = full.partition(".")[0]
    if first in known or first in _ELSEWHERE:
        return full
    parents = importing.split(".")[:-1]
    while parents:
        if ".".join([*parents, first]) in known:
            return ".".join([*parents, full])
        parents.pop()
    return full


def _take_stars(module: Module, by_name: Mapping[str, Module], libraries: set[str]) -> bool:
    """Import what the stars stand for; returns whether there was anything new."""
    own = module.values.keys() | module.top.keys() | module.classes.keys() | module.imports.keys()
    new = {
        name: f"{star}.{name}"
        for star in module.stars
        for name in _public_names(star, by_name, libraries)
        if name not in own
    }
    module.imports.update(new)
    return bool(new)


def _public_names(
    star: str, by_name: Mapping[str, Module], libraries: Iterable[str]
) -> Iterable[str]:
    module = by_name.get(star)
    if module is None:
        return (
            last for base, _, last in (name.rpartition(".") for name in libraries) if base == star
        )
    told = module.values.get("__all__")
    if isinstance(told, ast.List | ast.Tuple):
        return [str(each.value) for each in told.elts if isinstance(each, ast.Constant)]
    every = [*module.values, *module.top, *module.classes, *module.imports]
    return (name for name in every if not name.startswith("_"))
