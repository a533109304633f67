"""The parent's side of a child: it is started, told what to do, and ended."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

_ROOT = Path(__file__).resolve().parent.parent
_ENDS_WITHIN_SECONDS = 10


class ChildError(Exception):
    """What a child could not do, in one line."""


class Child:
    """One contestant's process; `ready` must be called once before it is told anything.

    All are started before any is waited for, so that they start side by side.
    """

    def __init__(self, contestant: str, url: str) -> None:
        self.contestant = contestant
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.child", contestant, url],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> None:
        """Wait until it is there; raises `ChildError` if the contestant can't be attached."""
        self._answer()

    def ask(self, do: str, **options: Any) -> Any:
        """Tell it to do something and return what it answers; raises `ChildError` with why not."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **options}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise ChildError("the process ended") from None
        return self._answer()

    def end(self) -> None:
        """Let it end, or kill it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildError("the process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildError(str(answer["error"]).splitlines()[0])
        return answer["answer"]
