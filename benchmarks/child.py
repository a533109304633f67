"""A process with one contestant's application in it, which obeys a line of JSON at a time.

    python -m benchmarks.child CONTESTANT URL

Requests are answered in one event loop, in a thread of its own; the main thread waits for lines.
What a request costs is the processor time of the whole process, all threads included: wall time
would also measure what else runs on the machine. The garbage collector is left as it is.
"""

import asyncio
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from benchmarks import growth, holding, paired, snapshots
from benchmarks.applications import WORKLOADS, Workload, build
from benchmarks.contestants import CONTESTANTS

_STARTS_WITHIN_SECONDS = 20
_TURNS_WITHIN_SECONDS = 3600


class Stage:
    """The application with the contestant, the loop that it runs in, and what it can be told."""

    def __init__(self, contestant: str, url: str) -> None:
        self.attached = CONTESTANTS[contestant].attach(lambda: build(url))
        self.application = self.attached.application
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def obey(self, do: str, **options: Any) -> Any:
        """Do as one line says, and return what to answer."""
        commands = {
            "run": self.seconds_per_request,
            "serve": self.serve,
            "clock": time.process_time,
            "recorded": self.recorded,
            "pair": self.pair,
            "hold": lambda **given: self.wait_for(holding.measure(self, **given)),
            "grow": lambda **given: growth.measure(self, **given),
            "million": lambda **given: self.wait_for(growth.measure_sessions(self, **given)),
            "snapshot": lambda **given: snapshots.measure(self, **given),
        }
        return commands[do](**options)

    def wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the loop, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def seconds_per_request(self, workload: str, requests: int) -> float:
        """Send requests in process, one after the other, and return the processor time of each."""
        return self.wait_for(_send(self.application.app, WORKLOADS[workload], requests))  # type: ignore[no-any-return]

    def pair(self, workload: str, pairs: int) -> float:
        """Return the ratio to bare of a request through the middleware of a stopped watch."""
        return float(self.wait_for(paired.measure(self, _scope(WORKLOADS[workload]), pairs)))

    def serve(self) -> int:
        """Start uvicorn with its pure-Python parser, and return the port."""
        import uvicorn

        # asyncio sends small answers at once only on sockets that say that they are TCP's.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(
            self.application.app,
            http="h11",
            loop="asyncio",
            lifespan="off",
            log_level="warning",
            timeout_keep_alive=_TURNS_WITHIN_SECONDS,
        )
        server = uvicorn.Server(config)
        asyncio.run_coroutine_threadsafe(server.serve([listening]), self._loop)
        deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
        while not server.started:
            if time.monotonic() > deadline:
                raise RuntimeError("uvicorn did not start")
            time.sleep(0.01)
        return int(listening.getsockname()[1])

    def recorded(self) -> int | None:
        """Return how much was recorded since this was last asked; None if nothing is meant to."""
        recorded = self.attached.recorded
        return None if recorded is None else recorded()

    def owner(self) -> AbstractContextManager[Any]:
        """Make whatever is done inside one job's, for a contestant that knows of jobs."""
        watch = self.attached.watch
        return nullcontext() if watch is None else watch.owner("benchmark")


async def _send(app: Any, workload: Workload, requests: int) -> float:
    statuses = set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.add(message["status"])

    scope = _scope(workload)
    started = time.process_time()
    for _ in range(requests):
        await app(dict(scope), receive, send)
    seconds = time.process_time() - started
    if statuses != {200}:
        raise RuntimeError(f"{workload.path} answered with {statuses}")
    return seconds / requests


def _scope(workload: Workload) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": workload.method,
        "scheme": "http",
        "path": workload.path,
        "raw_path": workload.path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"bench")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "asgi": {"version": "3.0"},
    }


def main() -> None:
    """Obey until there are no more lines; what anybody prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        stage = Stage(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001
        answers.write(_failure(error))
        os._exit(1)
    with suppress(BrokenPipeError):  # the parent has gone, and nobody wants an answer
        answers.write(json.dumps({"answer": "ready"}) + "\n")
        for line in sys.stdin:
            answers.write(_answer(stage, json.loads(line)))
    os._exit(0)  # threads of the contestants may still run, and there is nothing to save


def _answer(stage: Stage, command: dict[str, Any]) -> str:
    try:
        return json.dumps({"answer": stage.obey(**command)}) + "\n"
    except Exception as error:  # noqa: BLE001
        return _failure(error)


def _failure(error: Exception) -> str:
    return json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n"


if __name__ == "__main__":
    main()
