"""Keeps the user's own database out of reach while the user's code runs in a lab's process."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from .errors import LabError

_MARK = "sessionwatch_lab"
LABS_OWN = {_MARK: True}
"""Execution options by which the lab's own engines are known."""


class ElsewhereError(LabError):
    """Something other than the lab's database was about to be connected to."""


class Guard:
    """Refuses every connection of an engine that is not the lab's, before it is made.

    SQLAlchemy's `do_connect` event would miss an engine with a `creator`; all engines, async ones
    too, pass through `Engine.raw_connection` (2.0.40 to 2.1.9).
    """

    def __init__(self) -> None:
        self.refused: list[str] = []
        """What was said to each attempt, in order."""
        self._connect: Any = None

    def start(self) -> None:
        """Refuse from now on; starting twice is starting once."""
        if self._connect is not None:
            return
        self._connect = connect = Engine.raw_connection

        def raw_connection(engine: Engine) -> Any:
            if not engine.get_execution_options().get(_MARK):
                self._refuse(engine)
            return connect(engine)

        Engine.raw_connection = raw_connection  # type: ignore[method-assign]

    def stop(self) -> None:
        """Let every engine connect again."""
        if self._connect is not None:
            Engine.raw_connection = self._connect  # type: ignore[method-assign]
            self._connect = None

    def check(self) -> None:
        """Raise LabError if anything was refused, even where the user's code has swallowed it."""
        if self.refused:
            raise LabError(self.refused[0])

    def _refuse(self, engine: Engine) -> None:
        words = (
            f"a connection to {engine.url.render_as_string(hide_password=True)} was refused: "
            "the lab lets its own database be used and no other"
        )
        self.refused.append(words)
        raise ElsewhereError(words)
