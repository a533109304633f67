"""SW601 yield-without-finally: a session is closed only when nothing is raised."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.rules import sw605
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    db = SessionLocal()
    yield db
    db.close()


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
    code="SW601",
    name="yield-without-finally",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "FastAPI throws what a handler raises into the generator, at its yield. Without a "
        "finally, and without a with statement, nothing after the yield runs then: the "
        "session stays open, and its connection out of the pool until the garbage collector "
        "comes."
    ),
    fix=(
        "Write `with SessionLocal() as db: yield db` (`async with` for an AsyncSession), or "
        "`try: yield db` and `finally: db.close()`."
    ),
    fine=(
        "Where something else closes the session whatever happens, such as an ExitStack that "
        "it is given to."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find generators whose session is not closed when the `yield` raises.

    One that commits after its `yield`, with nothing around it, is named by SW605.
    """
    for found in subject.dependencies:
        if found.opened is None or found.is_closed_always or sw605.is_unguarded(found):
            continue
        closing = "is closed only if nothing is raised" if found.is_closed_ever else "is not closed"
        yield LintFinding(
            RULE,
            found.function.module,
            found.given.node,
            f"the session that {found.function.name} yields {closing}",
            found.function,
        )
