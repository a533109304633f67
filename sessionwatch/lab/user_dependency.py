"""The user's own dependency inside a process of the lab, put into the demo app as it stands."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fastapi import FastAPI
from fastapi.params import Depends as DependsMark

from demo_app.application import create_app
from sessionwatch.records.stack import display_path

from .call_log import logged_class
from .cell import Ground
from .errors import LabError, with_article
from .session_kinds import is_maker, is_session_class
from .user_adapter import adapt
from .user_import import load_object, look_here
from .user_search import find_source, functions_of
from .user_sessions import Source, source_of


@dataclass(frozen=True, slots=True)
class UserDependency:
    """What `--get-db` named, with what makes its sessions."""

    name: str
    call: Callable[..., Any]
    """What was named."""
    gives_session: Callable[..., Any]
    """What FastAPI is handed: the very same, where that gives a session."""
    source: Source
    scope: Literal["function"] | None
    remark: str

    def rebind(self, ground: Ground) -> Any:
        """Have its sessions made on a cell's ground; return what to hand to FastAPI."""
        self.source.rebind(ground.engine, ground.log)
        given: Any = self.gives_session
        return logged_class(given, ground.log) if is_session_class(given) else given

    def application(self, ground: Ground) -> FastAPI:
        """Return the demo app with this dependency, for one cell."""
        return create_app(
            self.rebind(ground),
            scope=self.scope,
            is_async=self.source.is_async,
            create_session=ground.create_session,
        )

    def describe(self) -> dict[str, Any]:
        """Return what `Yours` holds, apart from the name."""
        file, first_line, source = _written(self.call)
        return {
            "made_by": self.source.name,
            "is_async": self.source.is_async,
            "scope": self.scope,
            "file": file,
            "first_line": first_line,
            "source": source,
            "remark": self.remark,
        }


def load(name: str, sessionmaker: str | None) -> UserDependency:
    """Import a dependency and what makes its sessions, or find that; raise LabError if it fails."""
    look_here()
    call, scope = _taken_out(load_object(name, "--get-db"))
    if is_maker(call):
        raise LabError(
            f"--get-db: {name} is {with_article(type(call).__name__)}, which no route can depend "
            "on: name the function that you write into Depends(...), and this one, if need be, "
            f"with --sessionmaker {name}"
        )
    if not callable(call):
        raise LabError(
            f"--get-db: {name} is no function but {with_article(type(call).__name__)}: name what "
            "you write into Depends(...)"
        )
    gives_session, remark = adapt(call)
    source = _source(name, call, sessionmaker)
    return UserDependency(name, call, gives_session, source, scope, remark)


def _source(name: str, call: Callable[..., Any], sessionmaker: str | None) -> Source:
    if sessionmaker is None:
        found = find_source(name, call)
        return source_of(found.name, found.thing, found.namespace)
    functions = list(functions_of(call))
    namespace = functions[0].__globals__ if functions else {}
    return source_of(sessionmaker, load_object(sessionmaker, "--sessionmaker"), namespace)


def _taken_out(thing: Any) -> tuple[Any, Literal["function"] | None]:
    """Take the dependency and its scope out of `Depends(...)`, also as `Annotated` holds it."""
    marks = [each for each in (thing, *get_args(thing)) if isinstance(each, DependsMark)]
    if not marks:
        return thing, None
    scope = getattr(marks[-1], "scope", None)
    return marks[-1].dependency, "function" if scope == "function" else None


def _written(call: Any) -> tuple[str, int, str]:
    """Return the file of a dependency, its first line there, and its source; empty if unknown."""
    plain = inspect.unwrap(call)
    shown = plain if isinstance(plain, type) or inspect.isroutine(plain) else type(plain)
    try:
        lines, first = inspect.getsourcelines(shown)
        file = inspect.getsourcefile(shown) or ""
    except (OSError, TypeError):
        return "", 0, ""
    return display_path(file), first, textwrap.dedent("".join(lines)).rstrip()
