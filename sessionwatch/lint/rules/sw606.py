"""SW606 late-commit: a commit after the yield comes when the client has its answer."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.project import Project
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    with SessionLocal.begin() as db:
        yield db


@app.post("/items")
def create_item(db: Session = Depends(get_db)):
    db.add(Item(name="lamp"))
    return {}
"""

_CORRECT = """\
def get_db():
    with SessionLocal.begin() as db:
        yield db


@app.post("/items")
def create_item(db: Session = Depends(get_db, scope="function")):
    db.add(Item(name="lamp"))
    return {}
"""

RULE = Rule(
    code="SW606",
    name="late-commit",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "From 0.118 on, FastAPI runs what stands after the yield when the response has been "
        "sent. If that commit fails, the client has been told that all went well; and until "
        "it is done, the next request may not see what this one wrote."
    ),
    fix=(
        'Inject it with `Depends(get_db, scope="function")` (FastAPI 0.121 or newer), so that '
        "it ends before the response is sent, or commit in the handler."
    ),
    fine=("Where losing the write after a success is no harm, such as a counter of visits."),
    broken=_BROKEN,
    correct=_CORRECT,
)


_FIRST = (0, 118)


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find injections, without `scope="function"`, of what commits after its `yield`.

    Not where the FastAPI that will run it is known to be older.
    """
    if not comes_late(subject.project):
        return
    pinned = set(_taken_by_generators(subject.project))
    for injection in subject.project.injections:
        found = subject.dependency(injection.function)
        if found is None or found.commit is None or injection.may_end_early:
            continue
        place = injection.place
        what = (
            f"{found.function.name} commits after its yield (line {found.commit.lineno} of "
            f"{found.module_path}), when the client has its answer"
        )
        given_to = place.function
        ends_late = given_to is not None and given_to.is_generator
        is_fixable = (
            not ends_late
            and f"{place.module.name}.{place.alias}" not in pinned
            and place.module.full_name(place.node.func) != "fastapi.Security"  # has no scope
        )
        target = injection.target
        yield LintFinding(
            RULE,
            place.module,
            place.node,
            what,
            given_to,
            is_fixable,
            dependency=found.function.name if target is None else ast.unparse(target),
        )


def comes_late(project: Project) -> bool:
    """Whether FastAPI runs the end of a dependency after the response, as far as is known."""
    return project.fastapi is None or project.fastapi >= _FIRST


def _taken_by_generators(project: Project) -> Iterator[str]:
    """Yield the full names of annotations of generators, which end when the request does.

    FastAPI refuses to give them what ends earlier (`DependencyScopeError`, 0.121 to 0.165).
    """
    for function in project.functions():
        for argument, _ in function.parameters() if function.is_generator else ():
            if argument.annotation is not None:
                name = project.origin(function.module, argument.annotation)
                if name is not None:
                    yield name
