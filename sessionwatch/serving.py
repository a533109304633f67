"""An application of somebody else's, watched without a change: what `sessionwatch run` serves.

uvicorn makes the application in each of its processes by calling `create`, which finds in the
environment what to serve, as a new process of `--reload` or `--workers` knows nothing else.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from uvicorn.importer import ImportFromStringError, import_from_string

from sessionwatch.installation import install, installed_watch
from sessionwatch.instruments.middleware import SessionWatchMiddleware
from sessionwatch.setting_values import SettingsError
from sessionwatch.settings import Settings
from sessionwatch.snapshot import Snapshot
from sessionwatch.watch import SessionWatch
from sessionwatch.web.endpoint import DEFAULT_PATH, router

APPLICATION = "_SESSIONWATCH_RUN_APPLICATION"
IS_FACTORY = "_SESSIONWATCH_RUN_FACTORY"
REPORTS = "_SESSIONWATCH_RUN_REPORTS"
"""The folder that each process leaves its last snapshot in."""

_WRONG_USAGE = 2
_watches: list[SessionWatch] = []
LOGGER = logging.getLogger("sessionwatch")


def create() -> Any:
    """Return the application with everything installed, and have a snapshot left at the end.

    Ends the process, with one line, if there is no such application or a setting is wrong.
    """
    try:
        application = import_from_string(os.environ[APPLICATION])
        if os.environ.get(IS_FACTORY):
            application = application()
        served, watch = watched(application)
    except (ImportFromStringError, SettingsError) as error:
        print(f"sessionwatch: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(_WRONG_USAGE)
    _log_to_the_terminal()
    _watches.append(watch)
    return _leaving_snapshots(served)


def watched(application: Any) -> tuple[Any, SessionWatch]:
    """Return an application to serve in the place of another, and the watch that it has.

    Starlette's and FastAPI's are the same object; one that has sessionwatch already stays as it
    is. Any other is wrapped, and `/debug/sessions` answers beside it.
    """
    if isinstance(application, Starlette):
        watch = installed_watch(application) or install(application)
        return application, watch
    watch = SessionWatch(Settings.load()).start()
    page = FastAPI(openapi_url=None)
    page.include_router(router(watch))
    return SessionWatchMiddleware(_beside(page, application), watch), watch


def _beside(page: FastAPI, application: Any) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        ours = path == DEFAULT_PATH or path.startswith(f"{DEFAULT_PATH}/")
        await (page if ours and scope["type"] == "http" else application)(scope, receive, send)

    return serve


def _leaving_snapshots(application: Any) -> Any:
    """Have snapshots left when the server shuts the application down.

    Not when the process ends: uvicorn lets the signal that ended a worker kill it
    (`Server.capture_signals`, 0.30 to 0.54). An application without a lifespan is given one.
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        messages: list[str] = []

        async def receive_and_note() -> Any:
            message = await receive()
            messages.append(message["type"])
            return message

        async def send_and_note(message: Any) -> None:
            messages.append(message["type"])
            if message["type"].startswith("lifespan.shutdown"):
                leave_snapshots()
            await send(message)

        try:
            await application(scope, receive_and_note, send_and_note)
        except Exception:
            if any(each != "lifespan.startup" for each in messages):
                raise
            await _live(messages, receive, send_and_note)

    return serve


async def _live(messages: list[str], receive: Any, send: Any) -> None:
    """Answer in the place of an application that knows of no lifespan."""
    if not messages:
        await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _log_to_the_terminal() -> None:
    """Show findings, unless the application has said where they go."""
    if not LOGGER.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s sessionwatch: %(message)s"))
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)


def merged(folder: Path) -> Snapshot | None:
    """Return what the processes that have ended saw, all together; None if none has left it."""
    snapshots = [
        Snapshot.from_dict(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("*.json"))
    ]
    return functools.reduce(Snapshot.merge, snapshots) if snapshots else None


def leave_snapshots() -> None:
    """Leave what this process has seen where `merged` finds it."""
    folder = Path(os.environ[REPORTS])
    for watch in _watches if folder.is_dir() else ():
        text = json.dumps(watch.snapshot().to_dict())
        (folder / f"{os.getpid()}.json").write_text(text, encoding="utf-8")
