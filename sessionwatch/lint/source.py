"""One Python file: its text, its syntax tree, and what its names stand for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class Function:
    """A function or method, with the class and function that it stands in."""

    node: FunctionNode
    module: Module
    of_class: ast.ClassDef | None
    outer: Function | None
    is_generator: bool = False
    """Whether it yields."""
    inner: dict[str, Function] = field(default_factory=dict)
    """The functions in its body, by name."""
    _names: set[str] | None = None

    @property
    def name(self) -> str:
        """The name that it is defined by."""
        return self.node.name

    @property
    def decorators(self) -> list[ast.expr]:
        """What stands above it, but for `@classmethod` and `@staticmethod`."""
        return [
            each
            for each in self.node.decorator_list
            if not (isinstance(each, ast.Name) and each.id in ("classmethod", "staticmethod"))
        ]

    @property
    def is_async(self) -> bool:
        """Whether it is an `async def`."""
        return isinstance(self.node, ast.AsyncFunctionDef)

    def parameters(self) -> Iterator[tuple[ast.arg, ast.expr | None]]:
        """Yield each parameter with its default."""
        arguments = self.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        missing = [None] * (len(positional) - len(arguments.defaults))
        yield from zip(positional, [*missing, *arguments.defaults], strict=True)
        yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)

    def names(self) -> set[str]:
        """Return the names that are its own: parameters, and whatever its body binds."""
        if self._names is None:
            nodes = list(own_nodes(self.node))
            bound = {argument.arg for argument, _ in self.parameters()} | {
                each.id
                for each in nodes
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
            shared = (each.names for each in nodes if isinstance(each, ast.Global | ast.Nonlocal))
            self._names = bound.difference(*shared)
        return self._names

    def scopes(self) -> Iterator[Function]:
        """Yield the function and those around it."""
        scope: Function | None = self
        while scope is not None:
            yield scope
            scope = scope.outer


@dataclass(slots=True)
class Place:
    """A call, with the function whose body or parameters it stands in."""

    node: ast.Call
    module: Module
    function: Function | None
    parameter: str | None = None
    """The parameter that it is the default of, or stands in the annotation of."""
    alias: str | None = None
    """The name at the top of the module that it is part of."""


@dataclass(slots=True)
class Module:
    """A file that was parsed, with the names at its top and the places that rules ask for."""

    path: str
    name: str
    text: str
    tree: ast.Module
    imports: dict[str, str] = field(default_factory=dict)
    """What each imported name stands for, in full."""
    values: dict[str, ast.expr] = field(default_factory=dict)
    """What is assigned to each name at the top."""
    functions: list[Function] = field(default_factory=list)
    top: dict[str, Function] = field(default_factory=dict)
    """The functions at the top."""
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    methods: dict[ast.ClassDef, dict[str, Function]] = field(default_factory=dict)
    calls: list[Place] = field(default_factory=list)
    loops: list[tuple[ast.For | ast.AsyncFor, Function | None]] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    """The modules that all names were imported of."""
    _lines: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        """The lines as Python counts them, for which a form feed is no line end."""
        if self._lines is None:
            is_plain = "\r" not in self.text
            self._lines = self.text.split("\n") if is_plain else _LINE_END.split(self.text)
        return self._lines

    def full_name(self, node: ast.expr) -> str | None:
        """Return what a name or attribute stands for, such as "sqlalchemy.orm.Session"."""
        if isinstance(node, ast.Name):
            imported = self.imports.get(node.id)
            if imported is not None:
                return imported
            own = node.id in self.values or node.id in self.top or node.id in self.classes
            return f"{self.name}.{node.id}" if own else node.id
        if isinstance(node, ast.Attribute):
            base = self.full_name(node.value)
            return None if base is None else f"{base}.{node.attr}"
        if isinstance(node, ast.Subscript):
            return self.full_name(node.value)
        return None

    def line(self, number: int) -> str:
        """Return a line of the text, counted from 1."""
        return self.lines[number - 1] if number <= len(self.lines) else ""


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a function's body, without what functions and classes in it have."""
    waiting = list(getattr(node, "body", ()))
    while waiting:
        each = waiting.pop(0)
        yield each
        if not isinstance(each, FunctionNode | ast.ClassDef | ast.Lambda):
            waiting[:0] = ast.iter_child_nodes(each)


def called_name(node: ast.Call) -> str:
    """Return the last part of the name that is called; nothing where it has none."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def targets(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield what an assignment gives a value, each with the value."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value


def assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that an assignment gives a value, each with the value."""
    return ((each.id, value) for each, value in targets(node) if isinstance(each, ast.Name))
