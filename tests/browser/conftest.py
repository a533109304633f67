"""A real browser at a real server, and what no page may do.

Without Playwright or a Chromium, everything here is skipped, and says why.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

import sessionwatch
from sessionwatch import SessionWatch, Settings

PATH = "/debug/sessions"
SECRET = "hush-4711"
HOSTILE = "</script><img src=x onerror=alert(1)>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, ended with each file: while it is there, no event loop can be run."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
    )
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)} is on the PATH")
    playwright.expect.set_options(timeout=15_000)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serious() -> Callable[[Any], list[Any]]:
    """Tells what axe-core finds seriously wrong with a page, with the elements."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe-core is not installed: pip install axe-playwright-python",
    )

    def find(page: Any) -> list[Any]:
        return [
            (each["id"], node["target"], node["failureSummary"])
            for each in axe.Axe().run(page).response["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    return find


@dataclass
class Shop:
    """An application that leaks on request, its watch, and where it is served."""

    app: FastAPI
    watch: SessionWatch
    make_session: Any
    kept: list[Session] = field(default_factory=list)
    port: int = 0
    _server: Any = None
    _thread: Any = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        """Ask it for something."""
        return httpx.get(self.url + path, trust_env=False)

    def leak_many(self, number: int) -> None:
        """Have many requests leak a session each, without a connection."""
        for _ in range(number):
            with self.watch.owner("import"):
                self.kept.append(self.make_session())

    def start(self) -> None:
        """Serve, on the port that it had before, if any."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, log_level="critical", lifespan="off")
        )
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])), daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the server."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def settings() -> Settings:
    """Those of the watch."""
    return Settings(log_findings=False, idle_hold_seconds=1.0)


@pytest.fixture
def shop(tmp_path: Any, settings: Settings) -> Iterator[Shop]:
    """An application that is served."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", pool_size=5)
    make_session = sessionmaker(engine)
    app = FastAPI()
    kept: list[Session] = []

    def get_db() -> Iterator[Session]:
        session = make_session()
        yield session

    @app.get("/items/{number}")
    def leak(number: str, session: Session = Depends(get_db)) -> int:
        kept.append(session)
        session.execute(text("SELECT :number"), {"number": number})
        return 1

    @app.get("/fails/{number}")
    def fail(number: str) -> None:
        with make_session() as session:
            session.execute(text(f"SELECT '{SECRET}'"))
        raise HTTPException(404, SECRET)

    @app.get(f"/{HOSTILE}/x")
    def hostile(session: Session = Depends(get_db)) -> int:
        kept.append(session)
        session.execute(text(f'SELECT 1 AS "{HOSTILE}"'))
        return 1

    watch = sessionwatch.install(app, settings)
    shop = Shop(app, watch, make_session, kept)
    shop.start()
    yield shop
    shop.stop()
    for session in kept:
        session.close()
    watch.stop()
    engine.dispose()


@pytest.fixture
def expected_errors() -> list[str]:
    """What the console may say in this test: every error that has one of these texts."""
    return []


@pytest.fixture
def open_page(browser: Any, shop: Shop, expected_errors: list[str]) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end, nothing must be on the console or have come from elsewhere."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def watch_over(page: Any) -> None:
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append("a dialog"), dialog.dismiss()))
        page.on(
            "console",
            lambda message: message.type in ("error", "warning") and wrong.append(message.text),
        )
        page.on(
            "request",
            lambda request: (
                request.url.startswith((shop.url, "data:"))
                or wrong.append(f"a request to {request.url}")
            ),
        )

    def open_page(path: str = PATH, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        watch_over(page)
        page.goto(shop.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [each for each in wrong if not any(text in each for text in expected_errors)] == []
