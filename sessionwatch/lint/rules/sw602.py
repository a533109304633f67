"""SW602 return-session: a dependency returns a session that nobody will close."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.source import Function, assigned, own_nodes, targets
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    return SessionLocal()


@app.get("/items")
def read_items(db: Session = Depends(get_db)):
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
    code="SW602",
    name="return-session",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "A function that returns has no code left to run after the request. FastAPI closes "
        "nothing by itself, so the connection of each request stays out until the garbage "
        "collector comes."
    ),
    fix=(
        "Yield the session: `with SessionLocal() as db: yield db`, so that FastAPI runs the "
        "end of it after the request."
    ),
    fine=(
        "Where somebody else closes the session, such as a middleware that put it into "
        "`request.state`."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find what is injected and returns a session that it has made itself."""
    seen: set[int] = set()
    for injection in subject.project.injections:
        module, target = injection.place.module, injection.target
        function = injection.function
        if isinstance(target, ast.Lambda) and subject.project.makes_session(module, target.body):
            yield LintFinding(RULE, module, target, "the lambda returns a new session", function)
        elif function is not None and id(function.node) not in seen:
            seen.add(id(function.node))
            yield from _check_function(subject, function)


def _check_function(subject: Subject, function: Function) -> Iterator[LintFinding]:
    if function.is_generator or function.decorators:
        return
    made = _own_sessions(subject, function)
    for node in own_nodes(function.node):
        if not isinstance(node, ast.Return) or node.value is None:
            continue
        is_variable = isinstance(node.value, ast.Name) and node.value.id in made
        if is_variable or subject.project.makes_session(function.module, node.value, function):
            what = f"{function.name} returns a session that nobody closes"
            yield LintFinding(RULE, function.module, node, what, function)
            return


def _own_sessions(subject: Subject, function: Function) -> set[str]:
    """Return the variables that hold sessions, but for those that are kept elsewhere too."""
    parameters = {argument.arg for argument, _ in function.parameters()}
    made = subject.project.session_names(function) - parameters
    for node in own_nodes(function.node):
        given = list(targets(node))
        for target, value in given:
            if isinstance(value, ast.Name) or not isinstance(target, ast.Name):
                made -= {each.id for each in ast.walk(value) if isinstance(each, ast.Name)}
        if len(given) > 1:
            made -= {name for name, _ in assigned(node)}
        if isinstance(node, ast.Call):
            handed = [*node.args, *(keyword.value for keyword in node.keywords)]
            made -= {each.id for each in handed if isinstance(each, ast.Name)}
    return made
