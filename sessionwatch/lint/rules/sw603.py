"""SW603 called-not-injected: a default value calls the dependency, once for all requests."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.source import Function, Module
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
        for argument, default in function.parameters():
            if (
                default is not None
                and _gives_session(subject, function.module, default, function.outer)
                and project.serves(function)
            ):
                parameter = f"{argument.arg}={ast.unparse(default)}"
                what = f"{function.name} has {parameter}, made once for all requests"
                yield LintFinding(RULE, function.module, default, what, function)
    for injection in project.injections:
        module, target = injection.place.module, injection.target
        if target is not None and _gives_session(subject, module, target, injection.place.function):
            what = f"Depends({ast.unparse(target)}) is given what the call returns, once for all"
            yield LintFinding(RULE, module, target, what, injection.place.function)


def _gives_session(
    subject: Subject, module: Module, node: ast.expr, within: Function | None
) -> bool:
    """Whether a call makes a session, or the generator of a dependency that gives one."""
    makes_session = subject.project.makes_session(module, node)
    return makes_session or subject.makes_generator(module, node, within)
