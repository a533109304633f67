"""SW608 global-session: all requests use one session made at import."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.project import Project
from sessionwatch.lint.source import Function, own_nodes
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
db = SessionLocal()


@app.get("/items")
def read_items():
    return db.scalars(select(Item.name)).all()
"""

_CORRECT = """\
def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.get("/items")
def read_items(db: Session = Depends(get_db)):
    return db.scalars(select(Item.name)).all()
"""

RULE = Rule(
    code="SW608",
    name="global-session",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "A session is for one thread or task at a time, and for one unit of work. One that "
        "all requests share mixes their work: a rollback for one undoes what another wrote, "
        "an error in one makes all others fail, and its identity map grows for ever."
    ),
    fix=(
        "Open a session for each request, in a dependency; keep the sessionmaker at the top "
        "of the module."
    ),
    fine=("A scoped_session, which gives each thread its own, and is removed after each request."),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find sessions at the top of a module that a route or dependency uses."""
    project = subject.project
    made = {
        f"{module.name}.{name}": (module, value)
        for module in project.modules
        for name, value in module.values.items()
        if project.makes_session(module, value)
    }
    told: set[str] = set()
    for function in project.functions() if made else ():
        if not project.serves(function):
            continue
        bound = {name for scope in function.scopes() for name in scope.names()}
        for node in own_nodes(function.node):
            name = _global_name(project, function, node, bound)
            if name in made and name not in told:
                told.add(name)
                module, value = made[name]
                what = f"{function.name} uses the session {name}, as every other request does"
                yield LintFinding(RULE, module, value, what)


def _global_name(
    project: Project, function: Function, node: ast.AST, bound: set[str]
) -> str | None:
    is_own = isinstance(node, ast.Name) and node.id in bound
    if is_own or not isinstance(node, ast.Name | ast.Attribute):
        return None
    return project.origin(function.module, node)
