"""The runner's end of a worker: starts the process, asks it in JSON lines, ends it for certain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from pathlib import Path
from typing import Any

import sessionwatch

from .errors import LabError

_LINE_LIMIT_BYTES = 32 * 1024 * 1024
_ENDING_SECONDS = 10.0
_KEPT_LINES = 20


class Worker:
    """One server process; its standard input and output carry questions and answers."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last_words: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def process_id(self) -> int:
        """The started process's number, as the operating system has it."""
        assert self._process is not None
        return self._process.pid

    async def start(self, setting: dict[str, Any]) -> dict[str, Any]:
        """Start the process and return its first answer; `setting` is what it is to serve."""
        await self.launch()
        return await self.ask("serve", **setting)

    async def launch(self) -> None:
        """Start the process, which then serves nothing yet."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "sessionwatch.lab.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT_BYTES,
            env=_environment(),
            # A Ctrl-C is for the runner alone: it ends its workers in order.
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._listening = asyncio.create_task(self._listen(self._process.stderr))

    async def ask(self, what: str, **details: Any) -> dict[str, Any]:
        """Send one question and return its answer; raise LabError when the worker can't."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        line = json.dumps({"do": what, **details}) + "\n"
        with contextlib.suppress(ConnectionError):
            process.stdin.write(line.encode())
            await process.stdin.drain()
        reply = await process.stdout.readline()
        if not reply:
            raise LabError(await self._obituary(process))
        answer: dict[str, Any] = json.loads(reply)
        if "error" in answer:
            raise LabError(answer["error"])
        return answer

    async def end(self) -> bool:
        """Close the worker's input, wait for it, kill it if it stays; True when it cleaned up."""
        process, listening = self._process, self._listening
        if process is None or listening is None or process.stdin is None:
            return True
        process.stdin.close()
        try:
            async with asyncio.timeout(_ENDING_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening
        return process.returncode == 0

    async def _listen(self, words: asyncio.StreamReader) -> None:
        async for line in words:
            self._last_words.append(line.decode(errors="replace").rstrip())

    async def _obituary(self, process: asyncio.subprocess.Process) -> str:
        await process.wait()
        reason = self._last_words[-1] if self._last_words else "it said nothing"
        return f"the server {self._name} ended before its answer: {reason}"


def _environment() -> dict[str, str]:
    """Return this environment with our own package findable, wherever it was imported from."""
    ours = str(Path(sessionwatch.__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([ours, known] if known else [ours])
    return {**os.environ, "PYTHONPATH": path}
