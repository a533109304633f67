"""A generator that yields a session, and what happens before and after the `yield`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sessionwatch.lint.project import Project
from sessionwatch.lint.source import Function, FunctionNode, assigned, called_name, own_nodes

CONTEXT_MANAGERS = {"contextlib.contextmanager", "contextlib.asynccontextmanager"}
_CLOSING = {
    *("close", "aclose", "remove", "reset", "invalidate", "close_all"),
    *("__exit__", "__aexit__"),
}
_CLOSERS = {
    "closing",
    "aclosing",
    "enter_context",
    "enter_async_context",
    "push",
    "push_async_exit",
}
_BROAD = {"BaseException", "Exception"}
_NO_RETURN = ("raise", "abort", "fail", "exit")


@dataclass(slots=True)
class Step:
    """A statement, with the `try` and `with` statements that it stands in, outermost first."""

    node: ast.stmt
    within: tuple[tuple[ast.stmt, str], ...]
    """Each with the part of it: body, handlers, orelse, finalbody."""


@dataclass(slots=True)
class SessionDependency:
    """One such generator, its `yield` and the session that it gives."""

    function: Function
    session: str
    """The variable; empty where the session is made in the `yield` itself."""
    given: Step
    """The statement that yields."""
    steps: list[Step]
    opened: ast.stmt | None
    """Where the session is made, if nothing but the function itself closes it."""
    commits: list[Step] = field(default_factory=list)
    """What commits after the `yield`, but for the handlers of errors."""
    begins: ast.stmt | None = None
    """The `with … begin()` around the `yield`, whose end commits."""

    @property
    def module_path(self) -> str:
        """The file."""
        return self.function.module.path

    @property
    def is_context_manager(self) -> bool:
        """Whether it is made for a `with` statement."""
        return bool(self.function.decorators)

    @property
    def commit(self) -> ast.stmt | None:
        """What commits after the `yield` where nothing was raised."""
        return self.commits[0].node if self.commits else self.begins

    def around(self) -> Iterator[tuple[ast.Try, str]]:
        """Yield each `try` that the `yield` stands in, outermost first, and in which part of it."""
        for node, part in self.given.within:
            if isinstance(node, ast.Try):
                yield node, part

    def closes(self, statements: list[ast.stmt]) -> bool:
        """Whether one of the statements closes the session, or hands it to what will."""
        return any(
            self._is_closing(node) for each in statements for node in [each, *_expressions(each)]
        )

    @property
    def is_closed_always(self) -> bool:
        """Whether the session is closed whatever is raised where it was given."""
        for node, part in self.given.within:
            if isinstance(node, ast.With | ast.AsyncWith) and self._manages(node):
                return True
            if isinstance(node, ast.Try) and part == "body" and self._closes_around(node):
                return True
        return any(self._is_handed_over(step.node) for step in self.steps)

    @property
    def is_closed_ever(self) -> bool:
        """Whether anything in the function closes it."""
        return self.closes([step.node for step in self.steps])

    def _closes_around(self, node: ast.Try) -> bool:
        if self.closes(node.finalbody):
            return True
        broad = [each for each in node.handlers if is_broad(each)]
        return bool(broad) and all(self.closes(each.body) for each in node.handlers)

    def _manages(self, node: ast.With | ast.AsyncWith) -> bool:
        return any(self._is_session(part) for item in node.items for part in _managed(item))

    def _is_session(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self.session

    def _is_closing(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr in _CLOSING:
            base = called.value
            return self._is_session(base) or called.attr in ("remove", "close_all")
        return any(self._is_session(each) for each in node.args)

    def _is_method_given(self, each: ast.Attribute, node: ast.stmt) -> bool:
        """Whether `session.close` stands there without being called."""
        closes = each.attr in _CLOSING and self._is_session(each.value)
        return closes and not _is_called(each, node)

    def _is_handed_over(self, node: ast.stmt) -> bool:
        """Whether a stack of contexts, or a finalizer, is given the session or its `close`."""
        for each in _expressions(node):
            if isinstance(each, ast.Attribute) and self._is_method_given(each, node):
                return True
            if (
                isinstance(each, ast.Call)
                and called_name(each) in _CLOSERS
                and any(self._is_session(part) for part in each.args)
            ):
                return True
        return False


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether a handler takes every exception, or every one that an application raises."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return handler.type is None or any(
        isinstance(kind, ast.Name) and kind.id in _BROAD for kind in kinds
    )


def raises(handler: ast.ExceptHandler) -> bool:
    """Whether a handler raises again, or ends in a call that says that it does."""
    if any(isinstance(node, ast.Raise) for node in own_nodes(handler)):
        return True
    last = handler.body[-1]
    call = last.value if isinstance(last, ast.Expr) else None
    call = call.value if isinstance(call, ast.Await) else call
    if not isinstance(call, ast.Call):
        return False
    name = called_name(call).casefold()
    return any(word in name for word in _NO_RETURN)


def session_dependencies(project: Project) -> Iterator[SessionDependency]:
    """Yield every generator of a project that yields a session, as `Depends` or `with` uses it."""
    for function in project.functions():
        found = _examined(project, function)
        if found is not None:
            yield found


def _is_plain(function: Function) -> bool:
    """Whether nothing but contextlib's decorators stands above a function."""
    return all(function.module.full_name(each) in CONTEXT_MANAGERS for each in function.decorators)


def _examined(project: Project, function: Function) -> SessionDependency | None:
    if not function.is_generator or not _is_plain(function):
        return None
    known: dict[int, SessionDependency | None] = project.examined
    if id(function) not in known:
        known[id(function)] = None  # what opens itself is none
        known[id(function)] = _examine(project, function)
    return known[id(function)]


def _context_manager(
    project: Project, function: Function, node: ast.expr
) -> SessionDependency | None:
    """Return the project's context manager that a `with` is given, if it yields a session."""
    called = project.function(function.module, node.func) if isinstance(node, ast.Call) else None
    found = None if called is None else _examined(project, called)
    return found if found is not None and found.is_context_manager else None


def _examine(project: Project, function: Function) -> SessionDependency | None:
    steps = list(_steps(function.node.body, ()))
    opened: dict[str, ast.stmt] = {}
    managed: set[str] = set()
    for step in steps:
        node = step.node
        for name, value in assigned(node):
            if _makes(project, function, value):
                opened[name] = node
        if isinstance(node, ast.With | ast.AsyncWith):
            managed |= {
                item.optional_vars.id
                for item in node.items
                if isinstance(item.optional_vars, ast.Name)
                and _gives_session(project, function, item.context_expr)
            }
    for step in steps:
        given = _yielded(step.node)
        if given is None:
            continue
        name = given.id if isinstance(given, ast.Name) else ""
        if name in opened or name in managed or _makes(project, function, given):
            made = None if name in managed else opened.get(name, step.node)
            found = SessionDependency(function, name, step, steps, made)
            _note_commits(project, found)
            return found
    return None


def _makes(project: Project, function: Function, node: ast.expr) -> bool:
    return project.makes_session(function.module, node, function)


def _gives_session(project: Project, function: Function, node: ast.expr) -> bool:
    """Whether `with <node> as name` binds a session that the block closes."""
    if _makes(project, function, node) or _context_manager(project, function, node):
        return True
    if not isinstance(node, ast.Call):
        return False
    begun = _begun(node)
    if begun is not None:
        return project.is_factory(function.module, begun, function)
    is_closer = called_name(node) in _CLOSERS
    return is_closer and any(_makes(project, function, each) for each in node.args)


def _note_commits(project: Project, found: SessionDependency) -> None:
    position = next(i for i, step in enumerate(found.steps) if step is found.given)
    for step in found.steps[position + 1 :]:
        in_handler = any(part == "handlers" for _, part in step.within)
        if not in_handler and isinstance(step.node, ast.Expr) and _commits(step.node, found):
            found.commits.append(step)
    for node, _ in found.given.within:
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                if _begins(project, found, item.context_expr):
                    found.begins = node


def _commits(node: ast.Expr, found: SessionDependency) -> bool:
    value = node.value.value if isinstance(node.value, ast.Await) else node.value
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr == "commit"
        and isinstance(value.func.value, ast.Name)
        and value.func.value.id == found.session
    )


def _begins(project: Project, found: SessionDependency, node: ast.expr) -> bool:
    """Whether it is `SessionLocal.begin()`, `session.begin()`, or one of the project's like it."""
    own = _context_manager(project, found.function, node)
    if own is not None:
        return own.commit is not None
    begun = _begun(node)
    if begun is None:
        return False
    is_session = isinstance(begun, ast.Name) and begun.id == found.session
    return is_session or project.is_factory(found.function.module, begun, found.function)


def _begun(node: ast.expr) -> ast.expr | None:
    """Return what `.begin()` is called on."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.value if node.func.attr == "begin" else None
    return None


def _steps(statements: list[ast.stmt], within: tuple[tuple[ast.stmt, str], ...]) -> Iterator[Step]:
    """Yield each statement, also those in blocks, in the order in which they stand."""
    for node in statements:
        yield Step(node, within)
        if isinstance(node, FunctionNode | ast.ClassDef):
            continue
        for part in ("body", "handlers", "orelse", "finalbody"):
            for each in getattr(node, part, ()):
                inner = each.body if isinstance(each, ast.ExceptHandler) else [each]
                yield from _steps(inner, (*within, (node, part)))


def _yielded(node: ast.stmt) -> ast.expr | None:
    value: Any = getattr(node, "value", None)
    if isinstance(node, ast.Expr | ast.Assign) and isinstance(value, ast.Yield):
        return value.value
    return None


def _managed(item: ast.withitem) -> Iterator[ast.AST]:
    """Yield what a `with` closes: what it is given, what it names, and what `closing` has."""
    yield item.context_expr
    if item.optional_vars is not None:
        yield item.optional_vars
    if isinstance(item.context_expr, ast.Call):
        yield from item.context_expr.args
        if isinstance(item.context_expr.func, ast.Attribute):
            yield item.context_expr.func.value


def _expressions(node: ast.stmt) -> Iterator[ast.AST]:
    """Yield what a statement itself says, without the statements inside it."""
    waiting = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.ExceptHandler):
            continue
        yield each
        waiting.extend(child for child in ast.iter_child_nodes(each))


def _is_called(attribute: ast.Attribute, node: ast.stmt) -> bool:
    return any(isinstance(each, ast.Call) and each.func is attribute for each in _expressions(node))
