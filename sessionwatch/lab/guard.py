"""Keeps the user's own database out of reach while the user's code runs in a lab's process.

SQLAlchemy's `do_connect` event would miss an engine with a `creator`; all engines, async ones
too, pass through `Engine.raw_connection` (2.0.40 to 2.1.9).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, MetaData

from .errors import LabError

_MARK = "sessionwatch_lab"
LABS_OWN = {_MARK: True}
"""Execution options by which the lab's own engines are known."""


class ElsewhereError(LabError):
    """Something other than the lab's database was about to be connected to."""


class Guard:
    """Refuses every connection of an engine that is not the lab's, before it is made.

    `create_all` and `drop_all` on such an engine do nothing: many a module lays its tables while
    it is imported.
    """

    def __init__(self) -> None:
        self.refused: list[str] = []
        """What was said to each attempt, in order."""
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Refuse from now on; starting twice is starting once."""
        if not self._undo:
            self._replace(Engine, "raw_connection", self._guarded_connect)
            for name in ("create_all", "drop_all"):
                self._replace(MetaData, name, _guarded_laying)

    def stop(self) -> None:
        """Let every engine connect again."""
        while self._undo:
            self._undo.pop()()

    def check(self) -> None:
        """Raise LabError if anything was refused, even where the user's code has swallowed it."""
        if self.refused:
            raise LabError(self.refused[0])

    def _replace(self, owner: type, name: str, guard: Callable[..., Any]) -> None:
        original = getattr(owner, name)
        setattr(owner, name, guard(original))
        self._undo.append(lambda: setattr(owner, name, original))

    def _guarded_connect(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        def raw_connection(engine: Engine) -> Any:
            if not _is_labs(engine):
                self._refuse(engine)
            return connect(engine)

        return raw_connection

    def _refuse(self, engine: Engine) -> None:
        words = (
            f"a connection to {engine.url.render_as_string(hide_password=True)} was refused: "
            "the lab lets its own database be used and no other"
        )
        self.refused.append(words)
        raise ElsewhereError(words)


def _is_labs(engine: Engine) -> bool:
    return bool(engine.get_execution_options().get(_MARK))


def _guarded_laying(lay: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(lay)
    def guarded(metadata: MetaData, bind: Any, *arguments: Any, **options: Any) -> None:
        if not isinstance(bind, Engine) or _is_labs(bind):
            lay(metadata, bind, *arguments, **options)

    return guarded
