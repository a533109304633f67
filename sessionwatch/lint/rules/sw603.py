"""SW603 called-not-injected: a default value calls the dependency, once for all requests."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.dependency import SessionDependency
from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.project import Project
from sessionwatch.lint.rules import sw606
from sessionwatch.lint.source import Function
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    with SessionLocal() as db:
        yield db


@app.get("/items")
def read_items(db: Session = get_db()):
    return db.scalars(select(Item.name)).all()
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as db:
        yield db


@app.get("/items")
def read_items(db: Session = Depends(get_db)):
    return db.scalars(select(Item.name)).all()
"""

RULE = Rule(
    code="SW603",
    name="called-not-injected",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "A default value is made once, when the module is imported. `get_db()` gives a "
        "generator there that nobody advances, and `SessionLocal()` one session that all "
        "requests share."
    ),
    fix=("Let FastAPI call it for each request: `db: Session = Depends(get_db)`."),
    fine=("Never for a route or a dependency."),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find defaults of routes and dependencies that are calls, and calls within `Depends(…)`."""
    project = subject.project
    for function in project.functions():
        arguments = function.node.args
        has_defaults = arguments.defaults or arguments.kw_defaults
        for argument, default in function.parameters() if has_defaults else ():
            if not isinstance(default, ast.Call):
                continue
            found = subject.called_dependency(function.module, default, function.outer)
            makes_session = project.makes_session(function.module, default, function.outer)
            if (found or makes_session) and project.serves(function):
                parameter = f"{argument.arg}={ast.unparse(default)}"
                what = f"{function.name} has {parameter}, made once for all requests"
                yield LintFinding(
                    RULE,
                    function.module,
                    default,
                    what,
                    function,
                    is_fixable=found is not None,
                    is_late=found is not None and _is_late(project, found, function),
                    dependency=ast.unparse(default.func) if found else "get_db",
                )
    for injection in project.injections:
        place, target = injection.place, injection.target
        if not isinstance(target, ast.Call):
            continue
        found = subject.called_dependency(place.module, target, place.function)
        if found or project.makes_session(place.module, target, place.function):
            what = f"Depends({ast.unparse(target)}) is given what the call returns, once for all"
            yield LintFinding(
                RULE,
                place.module,
                target,
                what,
                place.function,
                is_fixable=found is not None,
                dependency=ast.unparse(target.func) if found else "get_db",
            )


def _is_late(project: Project, found: SessionDependency, function: Function) -> bool:
    """Whether it is late when injected, and may end early: not so for what a generator takes."""
    return sw606.comes_late(project) and found.commit is not None and not function.is_generator
