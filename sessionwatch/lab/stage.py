"""The ASGI application that a worker serves: a stage on which each cell puts its own app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .answers import is_success

Message = dict[str, Any]
Application = Callable[..., Any]


@dataclass(slots=True)
class Notes:
    """What can be seen of one cell's requests from outside the application."""

    errors_after_success: list[str] = field(default_factory=list)
    """Classes of the exceptions that left the application when the client had been told of success,
    in order."""


class Stage:
    """Serves the current application and notes what passes between it and the server."""

    def __init__(self) -> None:
        self.application: Application | None = None
        self.notes = Notes()
        self.on_response_start: Callable[[], None] | None = None
        self._in_flight = 0

    def clear(self) -> None:
        """Take the application off the stage and begin new notes."""
        self.application = None
        self.on_response_start = None
        self.notes = Notes()

    async def idle(self) -> None:
        """Return once no request is inside the application."""
        while self._in_flight:
            await asyncio.sleep(0.001)

    async def __call__(
        self, scope: Message, receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        """Pass one connection on to the application, as ASGI 3 has it."""
        if self.application is None:
            raise RuntimeError("the lab's server was called between two cells")
        told_success = False

        async def watched_send(message: Message) -> None:
            nonlocal told_success
            if message["type"] == "http.response.start":
                told_success = is_success(message["status"])
                if self.on_response_start is not None:
                    self.on_response_start()
            await send(message)

        self._in_flight += 1
        try:
            await self.application(scope, receive, watched_send)
        except Exception as error:
            if told_success:
                # The name only: a kept exception would pin the leaked session through its frames.
                self.notes.errors_after_success.append(type(error).__name__)
            raise
        finally:
            self._in_flight -= 1
