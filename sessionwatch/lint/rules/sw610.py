"""SW610 bare-async-for: a dependency's generator is advanced by hand, and its end is not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    with SessionLocal() as db:
        yield db


def count_items():
    db = next(get_db())
    return db.scalar(select(func.count(Item.id)))
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as db:
        yield db


def count_items():
    with SessionLocal() as db:
        return db.scalar(select(func.count(Item.id)))
"""

RULE = Rule(
    code="SW610",
    name="bare-async-for",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "`next(get_db())` takes the session out of a generator that is dropped at once, so "
        "that what stands after its yield runs when the garbage collector comes, or in the "
        "middle of the work. `for db in get_db()` runs it only if the loop is neither left by "
        "break or return nor by an exception."
    ),
    fix=(
        "Open a session where it is needed: `with SessionLocal() as db:`. To use the "
        "dependency itself, make a context manager of it: `with "
        "contextlib.contextmanager(get_db)() as db:`."
    ),
    fine=("In a dependency that hands the session on: `for db in get_db(): yield db`."),
    broken=_BROKEN,
    correct=_CORRECT,
)


_ADVANCING = {"next", "anext"}
_METHODS = {"__next__", "__anext__", "send", "asend"}


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find loops over generators that give sessions, and `next` of one that nobody keeps."""
    project = subject.project
    for module in project.modules:
        for loop, function in module.loops:
            is_handed_on = function is not None and function.is_generator
            if not is_handed_on and subject.called_dependency(module, loop.iter, function):
                start = "async for" if isinstance(loop, ast.AsyncFor) else "for"
                what = f"{start} over {ast.unparse(loop.iter)}: its end runs only by chance"
                yield LintFinding(RULE, module, loop, what, function)
    for place in project.calls():
        taken = _taken(place.node)
        if taken is not None and subject.called_dependency(place.module, taken, place.function):
            what = f"{ast.unparse(place.node)} drops the generator that would close the session"
            yield LintFinding(RULE, place.module, place.node, what, place.function)


def _taken(node: ast.Call) -> ast.expr | None:
    """Return the generator that a call advances."""
    if isinstance(node.func, ast.Name) and node.func.id in _ADVANCING and node.args:
        return node.args[0]
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        return node.func.value
    return None
