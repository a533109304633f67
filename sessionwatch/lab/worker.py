"""A server process of the lab: `python -m sessionwatch.lab.worker`.

Questions come in as JSON lines on standard input and are answered on standard output, one at a
time. When the input ends, because the runner is done or is gone, so does the worker: it drops
its place in the database and leaves.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import warnings
from collections.abc import Callable
from typing import Any, TextIO

import uvicorn

from demo_app.variants import find_variant

from . import preflight, user_dependency
from .cell import BuildApplication, Cell, CellSetting, variant_application
from .database import Database
from .errors import LabError, first_line
from .guard import Guard
from .places import Place, place_for
from .quiz_forms import FORMS
from .stage import Stage

_CELLS_BETWEEN_CLEARINGS = 16
"""A cell's app is frozen, so it outlives its cell until the frozen ones are cleared out."""


class Server:
    """Answers the runner's questions, about one cell at a time."""

    def __init__(self) -> None:
        self._stage = Stage()
        self._place: Place | None = None
        self._cell: Cell | None = None
        self._cells = 0
        self._uvicorn: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._guard = Guard()
        self._yours: user_dependency.UserDependency | None = None

    async def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question by the method of its name."""
        ask: Callable[..., Any] = getattr(self, f"do_{question.pop('do')}")
        reply: dict[str, Any] = await ask(**question)
        return reply

    async def do_serve(self, url: str, is_async: bool, folder: str, name: str) -> dict[str, Any]:
        """Lay the tables and listen on a free loopback port."""
        self._place = place_for(Database(url, is_async), folder, name)
        self._place.create()
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._stage, lifespan="off", log_config=None, access_log=False, ws="none"
        )
        self._uvicorn = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[listener]))
        return {"port": listener.getsockname()[1], "server": self._place.server_version()}

    async def do_open(
        self, variant: str, is_async: bool, pool_size: int, reference: str | None
    ) -> dict[str, Any]:
        """Begin a cell; the scenario's requests may come when this is answered."""
        build = variant_application(find_variant(variant, is_async=is_async))
        self._open(build, CellSetting(is_async, pool_size, reference))
        return {}

    async def do_inspect(self, get_db: str, sessionmaker: str | None) -> dict[str, Any]:
        """Import the user's dependency and tell about it; needs no place."""
        return self._load(get_db, sessionmaker).describe()

    async def do_open_yours(
        self, get_db: str, sessionmaker: str | None, pool_size: int, reference: str | None
    ) -> dict[str, Any]:
        """Begin a cell with the user's own dependency; the first one tries it beforehand."""
        if self._yours is None:
            yours = self._load(get_db, sessionmaker)
            assert self._place is not None
            self._place.reset()
            await preflight.check(yours, self._place)
            self._guard.check()
            self._yours = yours
        setting = CellSetting(self._yours.source.is_async, pool_size, reference)
        self._open(self._yours.application, setting)
        return {}

    def _load(self, get_db: str, sessionmaker: str | None) -> user_dependency.UserDependency:
        self._guard.start()
        yours = user_dependency.load(get_db, sessionmaker)
        self._guard.refused.clear()  # what an import tried and got over was kept from connecting
        return yours

    async def do_open_form(self, form: str) -> dict[str, Any]:
        """Begin a cell with one of the quiz's ways to declare a route; tell if FastAPI refuses."""
        try:
            self._open(
                lambda ground: FORMS[form](ground.create_session),
                CellSetting(is_async=False, pool_size=1, reference=None),
            )
        except Exception as error:  # noqa: BLE001 - that it raises is what is measured
            return {"refused": type(error).__name__}
        return {"refused": None}

    def _open(self, build: BuildApplication, setting: CellSetting) -> None:
        assert self._place is not None
        self._place.reset()
        self._cells += 1
        if self._cells % _CELLS_BETWEEN_CLEARINGS == 0:
            gc.unfreeze()
            gc.collect()
        self._cell = Cell(self._stage, self._place, build, setting)
        self._cell.open()

    async def do_settle(self) -> dict[str, Any]:
        """Tell what is so right after the requests."""
        return await self._current.settle()

    async def do_resume_collector(self) -> dict[str, Any]:
        """Stop holding the garbage collector back."""
        self._current.resume_collector()
        return {}

    async def do_collect(self) -> dict[str, Any]:
        """Tell what is so after a garbage collection."""
        collected = await self._current.collect()
        self._guard.check()
        return collected

    async def do_close(self) -> dict[str, Any]:
        """End the cell."""
        cell, self._cell = self._current, None
        await cell.close()
        return {}

    async def end(self) -> None:
        """Stop listening and drop the place, whatever state the cell is in."""
        try:
            if self._cell is not None:
                await self._cell.close()
            if self._uvicorn is not None and self._serving is not None:
                self._uvicorn.should_exit = self._uvicorn.force_exit = True
                await self._serving
        finally:
            if self._place is not None:
                self._place.drop()

    @property
    def _current(self) -> Cell:
        assert self._cell is not None
        return self._cell


async def work() -> None:
    """Answer questions until the input ends."""
    server = Server()
    questions, answers = _keep_streams()
    reader = asyncio.StreamReader(limit=1024 * 1024)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), questions)
    try:
        while line := await reader.readline():
            try:
                reply = await server.answer(json.loads(line))
            except LabError as error:
                reply = {"error": str(error)}
            except Exception as error:  # noqa: BLE001 - told to the runner, which shows it
                what = f"{type(error).__name__}: {first_line(error)}"
                reply = {"error": f"the lab's server failed: {what}"}
            answers.write(json.dumps(reply) + "\n")
            answers.flush()
    finally:
        await server.end()


def _keep_streams() -> tuple[TextIO, TextIO]:
    """Keep the streams to ourselves: what the user's code prints must not be taken for answers."""
    questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return questions, answers


def main() -> None:
    """Run until the input ends, then leave without waiting for threads that leaked drivers keep."""
    # The async drivers' complaint about a leaked connection is the very thing that is measured.
    warnings.simplefilter("ignore")
    asyncio.run(work())
    os._exit(0)


if __name__ == "__main__":
    main()
