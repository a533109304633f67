"""What the static check finds."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sessionwatch.lint.dependency import SessionDependency, session_dependencies
from sessionwatch.lint.project import Project
from sessionwatch.lint.source import Function, Module
from sessionwatch.outlets.reportable import Reportable
from sessionwatch.rules.rule import Rule


@dataclass(slots=True)
class LintFinding:
    """A finding at a place in a file."""

    rule: Rule
    module: Module
    node: ast.AST
    what: str
    function: Function | None = None
    is_fixable: bool = True
    """Whether a change that is mechanical elsewhere would be right here."""
    is_late: bool = False
    """Whether what is to be injected commits after its `yield`."""
    dependency: str = "get_db"
    """What the fix is to call the dependency."""

    @property
    def line(self) -> int:
        """The line, counted from 1."""
        return int(getattr(self.node, "lineno", 1))

    @property
    def column(self) -> int:
        """The column, counted from 1."""
        return int(getattr(self.node, "col_offset", 0)) + 1

    @property
    def fix(self) -> str:
        """What to do, with the dependency by its name."""
        return self.rule.fix.replace("get_db", self.dependency)

    @property
    def message(self) -> str:
        """The first line of what is told."""
        return f"{self.rule.code} {self.rule.title}: {self.what}"

    def reportable(self) -> Reportable:
        """Return it as reports need it."""
        return Reportable(
            code=self.rule.code,
            name=self.rule.name,
            severity=self.rule.severity.value,
            message=_printable(self.message),
            fix=self.fix,
            cause=self.rule.cause,
            file=_printable(self.module.path),
            line=self.line,
            column=self.column,
            function=self.function.name if self.function is not None else "",
            source=self.module.line(self.line).strip(),
        )


def _printable(text: str) -> str:
    """Return text that UTF-8 can hold, which a file's name may not be."""
    return text.encode(errors="replace").decode()


@dataclass(slots=True)
class Subject:
    """What the rules look at: the project, and its generators that give sessions."""

    project: Project
    dependencies: list[SessionDependency] = field(default_factory=list)

    @classmethod
    def of(cls, project: Project) -> Subject:
        """Return what is to be judged of a project."""
        return cls(project, list(session_dependencies(project)))

    def dependency(self, function: Function | None) -> SessionDependency | None:
        """Return the generator that a function is, if it yields a session."""
        for each in self.dependencies:
            if each.function is function:
                return each
        return None

    def session_names(self, function: Function) -> set[str]:
        """Return the parameters and variables of a function that are sessions."""
        injected = {
            each.place.parameter
            for each in self.project.injections
            if each.place.function is function and each.place.parameter is not None
            if self.dependency(each.function) is not None
        }
        return injected | self.project.session_names(function)

    def called_dependency(
        self, module: Module, node: ast.expr, within: Function | None = None
    ) -> SessionDependency | None:
        """Return the dependency that yields a session, if an expression calls one."""
        if not isinstance(node, ast.Call):
            return None
        found = self.dependency(self.project.function(module, node.func, within))
        return None if found is None or found.is_context_manager else found


Check = Callable[[Subject], Iterator[LintFinding]]
