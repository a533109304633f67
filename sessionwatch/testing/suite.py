"""A watched test suite: one watch, an owner for each test, one for each fixture of many tests."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sessionwatch.instruments.attribution import stand_in, step_down
from sessionwatch.instruments.when_imported import WhenImported
from sessionwatch.records.stand_in import OtherThreads, StandIn
from sessionwatch.settings import Settings
from sessionwatch.watch import SessionWatch

if TYPE_CHECKING:
    from pathlib import Path

    from sessionwatch.configuration import Found
    from sessionwatch.instruments.patches import Patch
    from sessionwatch.records.owner import Owner

TEST, FIXTURE, RUN = "test", "fixture", "run"
_UNLESS_SET = {
    "idle_hold_seconds": None,
    "stream_hold_seconds": None,
    "loop_blocked_seconds": None,
    "timelines": "off",
    "max_routes": 1,
}
"""What depends on how fast a machine is has no place in a test, nor what nobody can look at."""
_ALL_OF_A_TEST = 1 << 62
_LONGEST_ANSWER_NS = 1_000_000_000
_BETWEEN_LOOKS_SECONDS = 0.001


def suite_settings(asked: Iterable[Found] = (), folder: Path | None = None) -> Settings:
    """Return the settings of a test suite: the project's, without what a test has no use for.

    Raises `SettingsError` as `Settings.load_with` does.
    """
    settings = Settings.load_with(asked, folder)
    sources = settings.sources
    unset: dict[str, Any] = {key: _UNLESS_SET[key] for key in _UNLESS_SET.keys() - sources.keys()}
    changed = replace(settings, log_findings=False, **unset)
    object.__setattr__(changed, "sources", sources)
    return changed


class Suite:
    """Watches from `start` to `stop`; each test and fixture begins and ends in between."""

    def __init__(self, settings: Settings) -> None:
        self.watch = SessionWatch(settings)
        self.watch.many_sessions = _ALL_OF_A_TEST
        self.watch.imports_late = True
        clock = self.watch.clock
        self._threads = OtherThreads()
        self.run = self.watch.process_owner = StandIn(
            RUN, "the test run", self.watch, clock(), self._threads.now()
        )
        """Whose is what no test and no fixture has opened."""
        self.run.crowded = True  # so that it keeps nothing that is closed
        self._starlette = WhenImported("starlette.applications", self._watch_requests)
        self._requests: Patch | None = None

    def start(self) -> None:
        """Begin to watch, also the requests to applications that have no middleware of ours."""
        self.watch.start()
        stand_in(self.run)
        self._starlette.wait()

    def stop(self) -> None:
        """End what `start` began."""
        self._starlette.stop()
        if self._requests is not None:
            self._requests.remove()
            self._requests = None
        step_down(self.run)
        self._threads = OtherThreads()
        self.watch.stop()

    def begin(self, kind: str, name: str) -> StandIn:
        """Let what follows belong to a test, or to a fixture of many tests."""
        owner = StandIn(kind, name, self.watch, self.watch.clock(), self._threads.now())
        stand_in(owner)
        return owner

    def pause(self, owner: StandIn) -> None:
        """Let what follows belong to whoever stood in before; a fixture is set up."""
        step_down(owner)

    def resume(self, owner: StandIn) -> None:
        """Let what follows belong to it again; a fixture is torn down."""
        stand_in(owner)

    def end(self, owner: StandIn) -> None:
        """Judge a test or fixture that is torn down, with what still runs of its requests.

        What is still out may hang on a cycle, such as a generator that nobody holds any more, and
        close itself when that is collected.
        """
        if owner.children:
            _await_answering(owner)
        if owner.leaves_connections_out():
            gc.collect()
        step_down(owner)
        owner.judge_all(self.watch.clock())

    def passes(self, owner: StandIn, longest_ns: int) -> bool:
        """End a test of which there is nothing to tell but numbers, as of nearly all tests.

        Returns whether it is one; then nobody held a connection for longer than `longest_ns`.
        """
        if owner.children or owner.permitted or owner.findings:
            return False
        if not owner.is_uneventful(longest_ns):
            return False
        step_down(owner)
        owner.judge_all(self.watch.clock())
        owner.let_go()
        return True

    def _watch_requests(self) -> None:
        """Watch requests too, now that somebody has imported what serves them."""
        from sessionwatch.testing.requests import watching_requests

        self._requests = watching_requests(self.watch)
        self._requests.apply()


def _await_answering(owner: StandIn) -> None:
    """Wait, but not for long, for requests that another thread answers and has not ended yet.

    Whoever has sent one knows of its response before the server leaves its dependencies.
    """
    answering = [child for child in list(owner.children) if _is_answering(child)]
    until_ns = time.perf_counter_ns() + _LONGEST_ANSWER_NS
    while any(not child.judged for child in answering) and time.perf_counter_ns() < until_ns:
        time.sleep(_BETWEEN_LOOKS_SECONDS)


def _is_answering(owner: Owner) -> bool:
    task = owner.task
    return owner.response_started_ns > 0 and task is not None and task.get_loop().is_running()
