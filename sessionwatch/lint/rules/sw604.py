"""SW604 session-class-as-dependency: Depends is given the session class or sessionmaker."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.source import Place
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
@app.get("/items")
def read_items(db: Session = Depends(SessionLocal)):
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
    code="SW604",
    name="session-class-as-dependency",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "FastAPI calls what it is given and looks no further: it makes a session for each "
        "request, takes the parameters of its constructor for those of the request, and "
        "closes it never."
    ),
    fix=(
        "Write a dependency that yields the session and closes it, and inject that: "
        "`Depends(get_db)`."
    ),
    fine=("Never."),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find `Depends(Session)`, `Depends(SessionLocal)`, and `db: Session = Depends()`."""
    project = subject.project
    for injection in project.injections:
        place = injection.place
        target = injection.target or _annotation(place)
        if target is not None and project.is_factory(place.module, target):
            what = f"Depends({ast.unparse(target)}) makes a session that nobody closes"
            yield LintFinding(RULE, place.module, place.node, what, place.function)


def _annotation(place: Place) -> ast.expr | None:
    """Return what the annotation of the parameter says that a bare `Depends()` stands for."""
    if place.function is None or place.parameter is None:
        return None
    for argument, _ in place.function.parameters():
        if argument.arg == place.parameter:
            annotation = argument.annotation
            if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
                return annotation.slice.elts[0]
            return annotation
    return None
