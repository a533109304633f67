"""SW609 session-escapes: a request's session goes to work that goes on without the request."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionwatch.lint.finding import LintFinding, Subject
from sessionwatch.lint.project import BACKGROUND, Project
from sessionwatch.lint.source import Function, FunctionNode, assigned, own_nodes, targets
from sessionwatch.rules.rule import Evidence, Rule, Severity

_BROKEN = """\
def get_db():
    with SessionLocal() as db:
        yield db


def count_items(db: Session):
    db.execute(select(func.count(Item.id)))


@app.post("/items")
def create_item(tasks: BackgroundTasks, db: Session = Depends(get_db)):
    tasks.add_task(count_items, db)
    return {}
"""

_CORRECT = """\
def get_db():
    with SessionLocal() as db:
        yield db


def count_items():
    with SessionLocal() as db:
        db.execute(select(func.count(Item.id)))


@app.post("/items")
def create_item(tasks: BackgroundTasks, db: Session = Depends(get_db)):
    tasks.add_task(count_items)
    return {}
"""

RULE = Rule(
    code="SW609",
    name="session-escapes",
    evidence=Evidence.PROOF,
    severity=Severity.ERROR,
    cause=(
        "The request's session is closed when the request is over, or it is kept open, with "
        "its connection, until the work is done; and while both use it, a session is used by "
        "two at once, which it is not made for."
    ),
    fix=("Open a session of its own in the background work: hand over an id, not the session."),
    fine=(
        "Where the handler awaits the task, or joins the thread, and does not use the session "
        "meanwhile."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)


_TASKS = {"asyncio.create_task", "asyncio.ensure_future"}
_LOOPS = {"asyncio.get_running_loop", "asyncio.get_event_loop"}
_OF_LOOPS = {"create_task": "task", "run_in_executor": "thread"}
_TASK_CLASSES = {"starlette.background.BackgroundTask", "threading.Thread", "threading.Timer"}


def check(subject: Subject) -> Iterator[LintFinding]:
    """Find sessions of routes and dependencies among what such work is given."""
    project = subject.project
    for place in project.calls():
        function = place.function
        if function is None or place.parameter is not None:
            continue
        kind = _kind(project, place.node, function)
        if kind is None or not project.serves(function):
            continue
        if kind != "background" and _is_awaited(place.node, function):
            continue
        sessions = subject.session_names(function)
        escaped = _sessions_in(place.node, function) & sessions
        if escaped:
            goes = {"background": "a background task", "task": "a task", "thread": "a thread"}[kind]
            what = f"{function.name} hands its session {sorted(escaped)[0]} to {goes}"
            yield LintFinding(RULE, place.module, place.node, what, function)


def _kind(project: Project, node: ast.Call, function: Function) -> str | None:
    name = function.module.full_name(node.func)
    if name in _TASKS:
        return "task"
    if name in _TASK_CLASSES:
        return "background" if name and "background" in name else "thread"
    if not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr == "add_task":
        return "background" if _is_tasks(project, node.func.value, function) else None
    if node.func.attr in _OF_LOOPS and _is_made_by(node.func.value, function, _LOOPS):
        return _OF_LOOPS[node.func.attr]
    return None


def _is_tasks(project: Project, node: ast.expr, function: Function) -> bool:
    """Whether something is FastAPI's BackgroundTasks: a parameter, or made by the function."""
    for argument, _ in function.parameters():
        if isinstance(node, ast.Name) and argument.arg == node.id:
            types = project.types(function.module, argument.annotation)
            return any(there.full_name(each) in BACKGROUND for there, each in types)
    return _is_made_by(node, function, BACKGROUND)


def _is_made_by(node: ast.expr, function: Function, makers: set[str]) -> bool:
    """Whether it is a call of one of these, or a variable that the function gives such a one."""
    made = [node] if isinstance(node, ast.Call) else _values(node, function)
    return any(
        isinstance(each, ast.Call) and function.module.full_name(each.func) in makers
        for each in made
    )


def _values(node: ast.expr, function: Function) -> list[ast.expr]:
    return [
        value
        for each in own_nodes(function.node)
        for name, value in assigned(each)
        if isinstance(node, ast.Name) and name == node.id
    ]


def _is_awaited(node: ast.Call, function: Function) -> bool:
    """Whether the function waits for what it has started: by `await`, `join` or the like."""
    names: set[str] = set()
    for each in own_nodes(function.node):
        if isinstance(each, ast.Await) and any(part is node for part in ast.walk(each)):
            return True
        for target, value in targets(each):
            if any(part is node for part in ast.walk(value)):
                names |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
    return any(
        isinstance(part, ast.Name) and part.id in names
        for each in own_nodes(function.node)
        if isinstance(each, ast.Await) or _is_join(each)
        for part in ast.walk(each)
    )


def _is_join(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
    )


def _sessions_in(node: ast.Call, function: Function) -> set[str]:
    """Return the names that the call is given, by itself or in a closure."""
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    names = {part.id for each in given for part in ast.walk(each) if isinstance(part, ast.Name)}
    inner = {each.name: each for each in ast.walk(function.node) if isinstance(each, FunctionNode)}
    for name in names & inner.keys():
        closure = inner[name]
        own = {argument.arg for argument in closure.args.args}
        names |= {part.id for part in ast.walk(closure) if isinstance(part, ast.Name)} - own
    return names
