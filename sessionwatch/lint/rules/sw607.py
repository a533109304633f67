"""SW607 swallowed-exception: a dependency keeps the exception that came through its yield."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.dependency import raises
from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    with SessionLocal() as db:
        try:
            yield db
        except Exception:
            db.rollback()


@app.get("/items")
def read_items(db: Session = Depends(get_db)):
    return db.scalars(select(Item.name)).all()
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as db:
        try:
            yield db
        except Exception:
            db.rollback()
            raise


@app.get("/items")
def read_items(db: Session = Depends(get_db)):
    return db.scalars(select(Item.name)).all()
"""

RULE = Rule(
    code="SW607",
    name="swallowed-exception",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "FastAPI throws the exception of a handler into the dependency and expects it back. A "
        "dependency that keeps it hides the error from every exception handler; FastAPI "
        "answers 500, if anything, and the error itself is never told."
    ),
    fix=("End the handler with `raise`."),
    fine=("Never in a dependency."),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find handlers around the `yield` that do not raise."""
    for found in subject.dependencies:
        if found.is_context_manager:
            continue
        for node, part in found.around():
            for handler in node.handlers if part == "body" else ():
                if not raises(handler) and not _is_end(handler):
                    what = f"{found.function.name} keeps the exception that its yield raised"
                    yield LintFinding(RULE, found.function.module, handler, what, found.function)


def _is_end(handler: ast.ExceptHandler) -> bool:
    """Whether it takes nothing but the end of the generator."""
    return isinstance(handler.type, ast.Name) and handler.type.id == "GeneratorExit"
