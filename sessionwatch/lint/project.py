"""All files that are checked together, and what a name in one of them means in another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sessionwatch.lint.imports import LIBRARIES, bind
from sessionwatch.lint.source import Function, Module, Place, assigned, own_nodes, targets

SESSION_CLASSES = {
    "sqlalchemy.orm.Session",
    "sqlalchemy.orm.session.Session",
    "sqlalchemy.ext.asyncio.AsyncSession",
    "sqlalchemy.ext.asyncio.session.AsyncSession",
    "sqlmodel.Session",
    "sqlmodel.orm.session.Session",
    "sqlmodel.ext.asyncio.session.AsyncSession",
}
MAKERS = {
    "sqlalchemy.orm.sessionmaker",
    "sqlalchemy.orm.session.sessionmaker",
    "sqlalchemy.ext.asyncio.async_sessionmaker",
    "sqlalchemy.ext.asyncio.session.async_sessionmaker",
}
DEPENDS = {"fastapi.Depends", "fastapi.params.Depends", "fastapi.Security"}
BACKGROUND = {
    "fastapi.BackgroundTasks",
    "fastapi.background.BackgroundTasks",
    "starlette.background.BackgroundTasks",
}
_ANNOTATED = {"typing.Annotated", "typing_extensions.Annotated"}
_OPTIONAL = {"typing.Optional", "typing.Union"}
_ROUTE_METHODS = {
    *("get", "post", "put", "patch", "delete", "head", "options", "trace"),
    *("api_route", "websocket", "websocket_route", "route"),
}
_CONVENTIONAL = re.compile(r"(?i)^_*(async_?)?session_?(local|maker|factory)$|^SessionLocal\w*$")
"""Names that stand for a sessionmaker wherever people do not say what they are."""
_MOST_STEPS = 8


@dataclass(slots=True)
class Injection:
    """A `Depends(…)`: what is injected, and where."""

    place: Place
    target: ast.expr | None
    """What stands in the brackets; None for what the annotation of the parameter says."""
    function: Function | None
    """The dependency itself, where it is a function of the project's."""

    @property
    def may_end_early(self) -> bool:
        """Whether `scope=` has it end before the response, or what it says can't be read here."""
        return any(
            keyword.arg is None
            or (keyword.arg == "scope" and not _is_constant(keyword.value, "request", None))
            for keyword in self.place.node.keywords
        )


@dataclass(slots=True)
class Project:
    """The files, and the FastAPI that they will run with, as (major, minor), if it is known."""

    modules: list[Module]
    fastapi: tuple[int, int] | None
    examined: dict[int, Any] = field(default_factory=dict)
    """Generators of sessions by the `id` of their function, as far as they are known."""
    _by_name: dict[str, Module] = field(default_factory=dict)
    _factories: dict[tuple[str, str], bool] = field(default_factory=dict)
    _injections: list[Injection] | None = None
    _serving: set[int] | None = None

    def __post_init__(self) -> None:
        for module in self.modules:
            self._by_name.setdefault(module.name, module)
        bind(self.modules, self._by_name, SESSION_CLASSES | MAKERS | DEPENDS | BACKGROUND)

    @property
    def injections(self) -> list[Injection]:
        """Every `Depends(…)` of the project."""
        if self._injections is None:
            self._injections = list(self._find_injections())
        return self._injections

    def functions(self) -> Iterator[Function]:
        """Yield every function and method."""
        for module in self.modules:
            yield from module.functions

    def calls(self) -> Iterator[Place]:
        """Yield every call."""
        for module in self.modules:
            yield from module.calls

    def find(self, name: str | None) -> tuple[Module, str] | None:
        """Return the module and the name in it that a full name stands for, through re-exports."""
        for _ in range(_MOST_STEPS):
            if name is None:
                return None
            module_name, _, last = name.rpartition(".")
            module = self._by_name.get(module_name)
            if module is None:
                return None
            if last not in module.imports:
                return module, last
            if module.imports[last] == name:
                return None
            name = module.imports[last]
        return None

    def origin(self, module: Module, node: ast.expr) -> str | None:
        """Return the full name of something of the project's, in the module that defines it."""
        found = self.find(module.full_name(node))
        return None if found is None else f"{found[0].name}.{found[1]}"

    def function(
        self, module: Module, node: ast.expr, within: Function | None = None
    ) -> Function | None:
        """Return the function that an expression in another names, or that calling it leads to."""
        if isinstance(node, ast.Name) and within is not None:
            for scope in within.scopes():
                if node.id in scope.inner:
                    return scope.inner[node.id]
        there, node = self._meant(module, node)
        if isinstance(node, ast.Call):
            return self._method(there, node.func, "__call__")
        found = self.find(there.full_name(node))
        if found is not None:
            return found[0].top.get(found[1])
        if isinstance(node, ast.Attribute):
            there, base = self._meant(there, node.value)
            owner = base.func if isinstance(base, ast.Call) else base
            return self._method(there, owner, node.attr)
        return None

    def _meant(self, module: Module, node: ast.expr) -> tuple[Module, ast.expr]:
        """Return the value that a name at the top of a module stands for, and where it is."""
        for _ in range(_MOST_STEPS):
            found = self.find(module.full_name(node)) if _is_name(node) else None
            value = None if found is None else found[0].values.get(found[1])
            if found is None or value is None:
                break
            module, node = found[0], value
        return module, node

    def class_of(self, module: Module, node: ast.expr) -> tuple[Module, ast.ClassDef] | None:
        """Return the class of the project's that an expression names."""
        found = self.find(module.full_name(node))
        if found is None:
            return None
        there, name = found
        return (there, there.classes[name]) if name in there.classes else None

    def _method(self, module: Module, node: ast.expr, name: str) -> Function | None:
        found = self.class_of(module, node)
        if found is None:
            return None
        there, of_class = found
        return there.methods.get(of_class, {}).get(name)

    def is_factory(self, module: Module, node: ast.expr, function: Function | None = None) -> bool:
        """Whether to call an expression makes a session: a session class, or a sessionmaker."""
        if self._is_maker_call(module, node):
            return True
        if function is not None and function.of_class is not None and _is_own_attribute(node):
            return self._is_factory_attribute(function, node)
        for scope in function.scopes() if function is not None else ():
            if _root(node) in scope.names():
                return self._is_local_factory(module, node, scope)
        name = module.full_name(node)
        if name is None:
            return False
        key = (module.name, name)
        if key not in self._factories:
            self._factories[key] = False  # what refers to itself is none
            self._factories[key] = self._names_factory(name)
        return self._factories[key]

    def _is_local_factory(self, module: Module, node: ast.expr, function: Function) -> bool:
        if not isinstance(node, ast.Name):
            return False
        values = [
            value
            for each in own_nodes(function.node)
            for name, value in assigned(each)
            if name == node.id
        ]
        if not values:
            return self._is_given_factory(function, node)
        return all(self._is_maker_call(module, value) for value in values)

    def _names_factory(self, name: str) -> bool:
        if name in SESSION_CLASSES:
            return True
        found = self.find(name)
        last = name.rpartition(".")[2]
        if found is None:
            return (_CONVENTIONAL.match(last) is not None and not _is_librarys(name)) or (
                name == "Session"  # a snippet that leaves its imports out
            )
        there, last = found
        if last in there.classes:
            return any(self.is_factory(there, base) for base in there.classes[last].bases)
        value = there.values.get(last)
        if value is None:
            return False
        if isinstance(value, ast.Call) and there.full_name(value.func) == "functools.partial":
            return bool(value.args) and self.is_factory(there, value.args[0])
        if isinstance(value, ast.Name | ast.Attribute):
            return self.is_factory(there, value)
        return self._is_maker_call(there, value)

    def _is_maker_call(self, module: Module, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and module.full_name(node.func) in MAKERS

    def _is_factory_attribute(self, function: Function, node: ast.expr) -> bool:
        """Whether a method of the class has put a sessionmaker where `self.name` finds it."""
        assert isinstance(node, ast.Attribute)
        assert function.of_class is not None
        for each in function.of_class.body:
            for name, value in assigned(each):
                if name == node.attr and self.is_factory(function.module, value):
                    return True
        methods = function.module.methods.get(function.of_class, {})
        return any(
            _is_own_attribute(target)
            and target.attr == node.attr  # type: ignore[attr-defined]
            and (self._is_given_factory(method, value) or self.is_factory(method.module, value))
            for method in methods.values()
            for each in own_nodes(method.node)
            for target, value in targets(each)
        )

    def _is_given_factory(self, function: Function, node: ast.expr) -> bool:
        """Whether it is a parameter that says by its type or name that it is a sessionmaker."""
        for argument, _ in function.parameters():
            if isinstance(node, ast.Name) and argument.arg == node.id:
                kind = argument.annotation
                name = function.module.full_name(kind) if kind is not None else None
                return name in MAKERS or _CONVENTIONAL.match(node.id) is not None
        return False

    def makes_session(
        self, module: Module, node: ast.expr | None, function: Function | None = None
    ) -> bool:
        """Whether an expression makes a session, such as `SessionLocal()`."""
        return isinstance(node, ast.Call) and self.is_factory(module, node.func, function)

    def is_session_type(self, module: Module, node: ast.expr | None) -> bool:
        """Whether an annotation says that something is a session."""
        names = {each.rpartition(".")[2] for each in SESSION_CLASSES}
        if isinstance(node, ast.Constant) and node.value in names:
            return True
        return any(self._is_session_class(there, each) for there, each in self.types(module, node))

    def types(self, module: Module, node: ast.expr | None) -> Iterator[tuple[Module, ast.expr]]:
        """Yield what an annotation says, without `Annotated`, `Optional` and names for them."""
        waiting = [] if node is None else [(module, node)]
        for _ in range(_MOST_STEPS):
            if not waiting:
                return
            there, each = self._meant(*waiting.pop())
            kind = there.full_name(each) if isinstance(each, ast.Subscript) else None
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                waiting += [(there, part) for part in _parsed(each.value)]
            elif isinstance(each, ast.BinOp):
                waiting += [(there, each.left), (there, each.right)]
            elif isinstance(each, ast.Subscript) and kind in _ANNOTATED | _OPTIONAL:
                parts = each.slice.elts if isinstance(each.slice, ast.Tuple) else [each.slice]
                waiting += [(there, part) for part in parts[: 1 if kind in _ANNOTATED else None]]
            else:
                yield there, each

    def _is_session_class(self, module: Module, node: ast.expr) -> bool:
        name = module.full_name(node)
        if name in SESSION_CLASSES:
            return True
        found = self.class_of(module, node)
        return found is not None and self._names_factory(f"{found[0].name}.{found[1].name}")

    def is_route(self, function: Function) -> bool:
        """Whether a decorator such as `@app.get("/")` makes a function the handler of a route."""
        return any(
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr in _ROUTE_METHODS
            and bool(each.args or each.keywords)
            for each in function.node.decorator_list
        )

    def serves(self, function: Function | None) -> bool:
        """Whether a function is a route's, or a dependency, or has a `Depends(…)` of its own."""
        if self._serving is None:
            self._serving = {id(each.function) for each in self.injections} | {
                id(each.place.function) for each in self.injections if each.place.parameter
            }
        return function is not None and (id(function) in self._serving or self.is_route(function))

    def session_names(self, function: Function) -> set[str]:
        """Return the parameters and variables of a function that are sessions."""
        names = set()
        for argument, _ in function.parameters():
            if self.is_session_type(function.module, argument.annotation):
                names.add(argument.arg)
        for node in own_nodes(function.node):
            names |= {
                name
                for name, value in assigned(node)
                if self.makes_session(function.module, value, function)
            }
            if (
                isinstance(node, ast.withitem)
                and isinstance(node.optional_vars, ast.Name)
                and self.makes_session(function.module, node.context_expr, function)
            ):
                names.add(node.optional_vars.id)
        return names

    def _find_injections(self) -> Iterator[Injection]:
        for place in self.calls():
            node = place.node
            if place.module.full_name(node.func) not in DEPENDS:
                continue
            target = node.args[0] if node.args else None
            for keyword in node.keywords:
                if keyword.arg == "dependency":
                    target = keyword.value
            within = place.function
            function = None if target is None else self.function(place.module, target, within)
            yield Injection(place, target, function)


def _is_own_attribute(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("self", "cls")
    )


def _is_constant(node: ast.expr, *values: object) -> bool:
    return isinstance(node, ast.Constant) and node.value in values


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def _parsed(text: str) -> list[ast.expr]:
    """Return the expression in an annotation that is a string; nothing where there is none."""
    try:
        return [ast.parse(text, mode="eval").body]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _root(node: ast.expr) -> str | None:
    """Return `a` for `a.b.c`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _is_librarys(name: str) -> bool:
    return name.partition(".")[0] in LIBRARIES
