"""How a file is read: parsed, and searched once for the names and places that rules ask for."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import Any

from sessionwatch.lint.source import Function, FunctionNode, Module, Place, assigned

_PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
"""Whose syntax it is, which may be older than that of the file."""
_OF_INTEREST = re.compile(r"[Ss]ession|Depends|get_db|fastapi|next\(|async for")
"""A text without any of these has nothing that a rule looks for, but names for others."""
_WANTED = {
    *("Depends", "Security", "next", "anext", "send", "asend", "__next__", "__anext__"),
    *("add_task", "create_task", "ensure_future", "run_in_executor"),
    *("Thread", "Timer", "BackgroundTask"),
}
"""What the calls are named that rules ask for."""
_STATEMENTS = {
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.For, ast.AsyncFor, ast.Import, ast.ImportFrom),
}
_BEGINNINGS = ("async ", "class ", "def ", "for ")
"""How lines begin that a body is visited for, besides those with a wanted name."""
_YIELDS = {ast.Yield, ast.YieldFrom}
_LEAVES = {ast.Name, ast.Constant, ast.alias, ast.arg, ast.Pass, ast.Break, ast.Continue}
_WITH_CHILDREN = {
    each
    for each in vars(ast).values()
    if isinstance(each, type)
    and issubclass(each, ast.AST)
    and not issubclass(each, ast.expr_context | ast.operator | ast.unaryop | ast.cmpop | ast.boolop)
} - _LEAVES
"""The kinds of nodes that are worth a visit."""


class UnreadableError(ValueError):
    """A file that can't be checked: one line says why."""


def read(path: Path, name: str) -> Module:
    """Parse a file, without looking further where it has nothing of interest.

    Raises `UnreadableError`.
    """
    try:
        raw = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        tree = ast.parse(raw, filename=str(path))
        text = raw.decode(encoding)
    except SyntaxError as error:
        where = f" at line {error.lineno}" if error.lineno else ""
        raise UnreadableError(f"does not parse: {error.msg}{where} ({_PYTHON})") from None
    except (OSError, UnicodeError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnreadableError(f"can't be read: {reason}") from None
    module = Module(str(path), name, text, tree)
    collector = _Collector(module, is_package=path.stem == "__init__")
    collector.collect_names()
    if _OF_INTEREST.search(text):
        try:
            collector.collect_places()
        except RecursionError:
            raise UnreadableError("is nested too deeply") from None
    return module


class _Collector:
    """Goes through a tree once, and notes what rules ask for."""

    def __init__(self, module: Module, *, is_package: bool) -> None:
        self._module = module
        self._is_package = is_package

    def collect_names(self) -> None:
        for statement in self._module.tree.body:
            self._top(statement)

    def collect_places(self) -> None:
        renamed = {
            name
            for name, full in self._module.imports.items()
            if full.rpartition(".")[2] in _WANTED
        }
        words = {"yield", "import"} | _WANTED | renamed
        self._words = [word for word in words if word in self._module.text]
        for statement in self._module.tree.body:
            self._visit(statement, None, None, alias=_assigned_name(statement))

    def _top(self, node: ast.stmt) -> None:
        """Note the names at the top, also of those under `if` and `try`."""
        if isinstance(node, ast.Import):
            for each in node.names:
                name = each.asname or each.name.partition(".")[0]
                self._module.imports[name] = each.name if each.asname else name
        elif isinstance(node, ast.ImportFrom):
            base = self._base(node)
            for each in node.names:
                if each.name == "*":
                    self._module.stars.append(base)
                else:
                    self._module.imports[each.asname or each.name] = f"{base}.{each.name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            self._module.values.update(assigned(node))
        elif isinstance(node, ast.ClassDef):
            self._module.classes[node.name] = node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody", "handlers"):
                for each in getattr(node, part, ()):
                    for statement in each.body if isinstance(each, ast.ExceptHandler) else [each]:
                        self._top(statement)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self._module.name.split(".")
        up = node.level - 1 if self._is_package else node.level
        kept = parts[: len(parts) - up] if up else parts
        return ".".join([*kept, *([node.module] if node.module else [])])

    def _visit(
        self,
        node: ast.AST,
        function: Function | None,
        of_class: ast.ClassDef | None,
        parameter: str | None = None,
        alias: str | None = None,
    ) -> None:
        kind = type(node)
        if kind is ast.Call:
            if self._is_wanted(node.func):  # type: ignore[attr-defined]
                place = Place(node, self._module, function, parameter, alias)  # type: ignore[arg-type]
                self._module.calls.append(place)
        elif kind in _STATEMENTS and self._statement(node, function, of_class):
            return
        elif kind in _YIELDS and function is not None:
            function.is_generator = True
        for name in node._fields:
            value = getattr(node, name)
            if type(value) is list:
                for each in value:
                    if type(each) in _WITH_CHILDREN:
                        self._visit(each, function, None, parameter, alias)
            elif type(value) in _WITH_CHILDREN:
                self._visit(value, function, None, parameter, alias)

    def _statement(
        self, node: Any, function: Function | None, of_class: ast.ClassDef | None
    ) -> bool:
        """Note a statement; returns whether all that is in it has been visited."""
        if isinstance(node, FunctionNode):
            self._function(node, function, of_class)
            return True
        if isinstance(node, ast.ClassDef):
            if function is None:
                self._module.methods.setdefault(node, {})
            for child in (*node.decorator_list, *node.bases, *node.body):
                self._visit(child, function, node)
            return True
        if isinstance(node, ast.For | ast.AsyncFor):
            self._module.loops.append((node, function))
        elif function is not None:
            self._top(node)
        return False

    def _is_wanted(self, called: ast.expr) -> bool:
        """Whether a rule asks for calls of this name, whatever it was imported as."""
        if isinstance(called, ast.Name):
            name = self._module.imports.get(called.id, called.id)
            return name.rpartition(".")[2] in _WANTED
        return isinstance(called, ast.Attribute) and called.attr in _WANTED

    def _function(
        self, node: FunctionNode, outer: Function | None, of_class: ast.ClassDef | None
    ) -> None:
        function = Function(node, self._module, of_class, outer)
        self._module.functions.append(function)
        if of_class is not None:
            self._module.methods.setdefault(of_class, {})[node.name] = function
        elif outer is None:
            self._module.top[node.name] = function
        else:
            outer.inner[node.name] = function
        for decorator in node.decorator_list:
            self._visit(decorator, outer, None)
        for argument, default in function.parameters():
            for part in (argument.annotation, default):
                if part is not None:
                    self._visit(part, function, None, parameter=argument.arg)
        if self._is_worth_a_visit(node):
            for statement in node.body:
                self._visit(statement, function, None)

    def _is_worth_a_visit(self, node: FunctionNode) -> bool:
        lines = self._module.lines[node.body[0].lineno - 1 : node.end_lineno]
        text = "\n".join(lines)
        return any(word in text for word in self._words) or any(
            line.lstrip().startswith(_BEGINNINGS) for line in lines
        )


def _assigned_name(node: ast.stmt) -> str | None:
    type_alias = getattr(ast, "TypeAlias", None)  # `type Alias = …`, from Python 3.12 on
    if type_alias is not None and isinstance(node, type_alias):
        return str(node.name.id)
    is_assignment = isinstance(node, ast.Assign | ast.AnnAssign)
    return next((name for name, _ in assigned(node)), None) if is_assignment else None
