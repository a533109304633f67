"""Every rule's two examples are run: the broken one is found, and its correct twin is not."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import fastapi
import httpx
import pytest
from fastapi.routing import APIRoute

import sessionwatch
from sessionwatch import SessionWatch, Settings
from sessionwatch.rules.catalog import CATALOG
from sessionwatch.rules.prelude import PRELUDE

SETTINGS: dict[str, dict[str, Any]] = {
    "SW102": {"idle_hold_seconds": 0.05},
    "SW303": {"stream_hold_seconds": 0.05},
    "SW404": {"loop_blocked_seconds": 0.1},
}
"""By code, the settings that its examples need, such as a threshold that is quickly reached."""

OF_NO_LINE = {"SW504"}
"""The codes that speak of a pool as a whole, and of no line."""

REQUESTS_AT_ONCE: dict[str, int] = {"SW402": 2}
"""By code, how many requests are sent to each route at the same time, where one is not enough."""

FASTAPI_NEEDED: dict[tuple[str, str], tuple[tuple[int, int], str]] = {
    ("SW301", "broken"): ((0, 118), "here the exits of dependencies run before the response"),
    ("SW302", "broken"): ((0, 118), "here the exits of dependencies run before the response"),
    ("SW301", "correct"): ((0, 121), "this FastAPI has no dependency scopes"),
}
"""By code and example, the oldest FastAPI that it says anything about, and why."""

FASTAPI = tuple(int(number) for number in fastapi.__version__.split(".")[:2])
MISTAKES = (AssertionError, AttributeError, NameError, TypeError)
"""What an example raises only when it is wrong itself."""

UNTIMED = {
    "idle_hold_seconds": None,
    "stream_hold_seconds": None,
    "loop_blocked_seconds": None,
    "child_task_grace_seconds": 0.05,
}
"""What is in force unless SETTINGS says otherwise: a slow machine must not find more."""


@pytest.fixture
def findings_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Run a rule's `broken` or `correct` example as a program; returns what was found."""
    monkeypatch.chdir(tmp_path)
    programs: list[ModuleType] = []

    def run(code: str, which: str) -> list[dict[str, Any]]:
        oldest, reason = FASTAPI_NEEDED.get((code, which), ((0, 0), ""))
        if oldest > FASTAPI:
            pytest.skip(reason)
        settings = Settings(extend_select=[code], **{**UNTIMED, **SETTINGS.get(code, {})})
        with SessionWatch(settings) as watch, no_collection_by_chance():
            program = load(tmp_path / f"{which}.py", getattr(CATALOG[code], which))
            programs.append(program)
            sessionwatch.install(program.app, watch=watch)
            try:
                drive(program, watch, REQUESTS_AT_ONCE.get(code, 1))
            except asyncio.CancelledError:
                pass
            except Exception:
                if which == "correct":
                    raise
            gc.collect()
            watch.stop()
            return watch.snapshot().findings

    yield run
    for program in programs:
        engine = program.engine
        vars(program).clear()
        gc.collect()
        engine.dispose()


@contextmanager
def no_collection_by_chance() -> Iterator[None]:
    """Keep the garbage collector from tidying up a leak before its owner is judged."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load(path: Path, example: str) -> ModuleType:
    """Import an example from a file, so that its frames are an application's."""
    path.write_text(f"{PRELUDE}\n\n{example}")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    program = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(program)
    return program


def drive(program: ModuleType, watch: SessionWatch, at_once: int) -> None:
    """Call `main`, or send a request to each route in the order of definition."""
    if hasattr(program, "main"):
        with watch.owner("job"):
            done = program.main()
            if asyncio.iscoroutine(done):
                asyncio.run(done)
    else:
        asyncio.run(serve(program.app, at_once))


async def serve(app: Any, at_once: int) -> None:
    """Send the requests to one route after the other, while the application is up."""
    routes = [route for route in app.routes if isinstance(route, APIRoute) and is_example(route)]
    assert routes, "an example has routes, or a function `main`"
    async with lifespan(app):
        for route in routes:
            await asyncio.gather(*(request(app, route) for _ in range(at_once)))


def is_example(route: APIRoute) -> bool:
    return not route.endpoint.__module__.startswith("sessionwatch.")


async def request(app: Any, route: APIRoute) -> None:
    """Send one request; what the handler raises on purpose is the example's own business."""
    (method,) = route.methods
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        try:
            await client.request(method, route.path)
        except Exception as error:
            if isinstance(error, MISTAKES):
                raise


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start an application up and shut it down as a server does."""
    asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    answered: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    running = asyncio.create_task(app(scope, asked.get, answered.put))
    await asked.put({"type": "lifespan.startup"})
    assert await answered.get() == {"type": "lifespan.startup.complete"}
    try:
        yield
    finally:
        await asked.put({"type": "lifespan.shutdown"})
        await running
    assert await answered.get() == {"type": "lifespan.shutdown.complete"}


@pytest.mark.parametrize("code", CATALOG)
def test_broken_example_is_found(findings_of, code):
    assert code in {finding["code"] for finding in findings_of(code, "broken")}


@pytest.mark.parametrize("code", sorted(set(CATALOG) - OF_NO_LINE))
def test_finding_names_a_line_of_the_example(findings_of, code):
    found = [finding for finding in findings_of(code, "broken") if finding["code"] == code]
    assert {Path(each["opened_at"]["file"]).name for each in found} == {"broken.py"}


@pytest.mark.parametrize("code", CATALOG)
def test_correct_example_is_not(findings_of, code):
    found = findings_of(code, "correct")
    assert code not in {finding["code"] for finding in found}
    assert [finding["message"] for finding in found if finding["severity"] != "info"] == []


@pytest.mark.parametrize("code", CATALOG)
def test_rule_says_when_it_is_fine_and_shows_short_examples(code):
    rule = CATALOG[code]
    assert rule.fine
    assert rule.broken != rule.correct
    for example in (rule.broken, rule.correct):
        assert 5 <= len(example.splitlines()) <= 25
        assert max(map(len, example.splitlines())) <= 76
