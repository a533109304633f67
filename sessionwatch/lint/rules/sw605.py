"""SW605 commit-without-rollback: a commit after the yield, and nothing rolls back."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.dependency import SessionDependency
from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.source import own_nodes
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    db = SessionLocal()
    yield db
    db.commit()
    db.close()


@app.get("/items")
def read_items(db: Session = Depends(get_db, scope="function")):
    return db.scalars(select(Item.name)).all()
"""

_CORRECT = """\
def get_db():
    db = SessionLocal()
    try:
        yield db
        db.commit()
    except BaseException:
        db.rollback()
        raise
    finally:
        db.close()


@app.get("/items")
def read_items(db: Session = Depends(get_db, scope="function")):
    return db.scalars(select(Item.name)).all()
"""

RULE = Rule(
    code="SW605",
    name="commit-without-rollback",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "When the handler raises, the lines after the yield are skipped; when the commit "
        "itself fails, those after it are. Either way the session keeps its transaction, its "
        "locks and its connection. A commit in a finally is worse: it saves the half of the "
        "work that was done before the error."
    ),
    fix=(
        "Write `try: yield db; db.commit()`, `except: db.rollback(); raise` and `finally: "
        "db.close()`, or let `with SessionLocal.begin() as db: yield db` do all of that."
    ),
    fine=(
        "Where the session is closed whatever happens, which rolls back too: a with statement "
        "around the yield and the commit is enough."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find commits after the `yield` that neither a rollback nor a close answers for."""
    for found in subject.dependencies:
        late = _commit_in_finally(found)
        if late is not None:
            what = f"{found.function.name} commits in a finally, also what an error left half-done"
            yield LintFinding(RULE, found.function.module, late, what, found.function)
        elif is_unguarded(found):
            what = f"{found.function.name} commits after its yield, and nothing rolls back"
            if not found.is_closed_always:
                what += " or closes the session (SW601) when something is raised"
            node = found.commits[0].node
            yield LintFinding(RULE, found.function.module, node, what, found.function)


def is_unguarded(found: SessionDependency) -> bool:
    """Whether it commits after its `yield` with nothing that rolls back or closes."""
    if not found.commits or found.opened is None or found.is_closed_always:
        return False
    return not any(
        part == "body" and any(_rolls_back(found, each) for each in node.handlers)
        for node, part in found.around()
    )


def _rolls_back(found: SessionDependency, handler: ast.ExceptHandler) -> bool:
    called = {node.attr for node in own_nodes(handler) if isinstance(node, ast.Attribute)}
    return bool(called & {"rollback", "close"}) or found.closes(handler.body)


def _commit_in_finally(found: SessionDependency) -> ast.stmt | None:
    around = {id(node) for node, part in found.around() if part == "body"}
    for step in found.commits:
        if any(part == "finalbody" and id(node) in around for node, part in step.within):
            return step.node
    return None
