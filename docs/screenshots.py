"""Make the README's pictures anew: `python docs/screenshots.py` (extra `browser`, and a Chromium).

The shop of `demo_app` is served under two ways to write `get_db`, asked for things that go well and
things that go wrong, and looked at in a real browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

import sessionwatch
from demo_app.application import create_variant_app
from demo_app.database import enforce_foreign_keys
from demo_app.models import create_tables, seed
from demo_app.variants import find_variant

FOLDER = Path(__file__).parent.absolute()
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1360, "height": 900}


@contextlib.contextmanager
def served(key: str) -> Iterator[str]:
    """Serve the shop under a variant, watched, on a database of its own; yields its address."""
    engine = create_engine(f"sqlite:///{key}.db", connect_args={"timeout": 0.1})
    enforce_foreign_keys(engine)
    create_tables(engine)
    with engine.begin() as connection:
        seed(connection)
    app = create_variant_app(find_variant(key, is_async=False), sessionmaker(engine))
    settings = sessionwatch.Settings(log_findings=False, idle_hold_seconds=1.0)
    watch = sessionwatch.install(app, settings)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        watch.stop()
        engine.dispose()


def ask(url: str, *requests: tuple[str, str]) -> None:
    """Send requests, whatever is answered."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=url, trust_env=False, limits=limits) as client:
        for number, (method, path) in enumerate(requests):
            body = {"reference": f"order-{number}"} if method == "POST" else None
            client.request(method, path, json=body)


def shoot_page(page: Page) -> None:
    """The live page, while connections leak."""
    reads = [("GET", "/items/all"), ("GET", "/accounts")] * 3
    with served("no-finally") as url:
        ask(url, *reads, ("POST", "/orders/handler-commits"), ("POST", "/orders/http-exception"))
        page.goto(f"{url}/debug/sessions")
        expect(page.locator("#connection[data-state=live]")).to_be_visible()
        expect(page.locator("#findings > li").first).to_be_visible()
        page.wait_for_timeout(3000)  # for the line of the pool's last minutes
        page.screenshot(path=FOLDER / "page.png")


def shoot_picture(page: Page) -> None:
    """The picture of a request whose commit failed after its answer."""
    with served("full") as url:
        ask(url, ("POST", "/orders/deferred"))
        page.goto(f"{url}/debug/sessions")
        page.locator("#findings .picture").first.click()
        figure = page.locator("figure.course")
        expect(figure).to_be_visible()
        figure.screenshot(path=FOLDER / "picture.png")


def shoot_report(page: Page) -> None:
    """The matrix of `sessionwatch compare --html`."""
    file = Path("report.html").absolute()
    compare = [sys.executable, "-m", "sessionwatch", "compare", "--html", str(file)]
    subprocess.run(compare, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    page.goto(file.as_uri())
    page.locator("#matrix").screenshot(path=FOLDER / "report.png")


def main() -> None:
    """Make all of them."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        sys.exit(f"there is no browser: install one of {', '.join(BROWSERS)}")
    gc.disable()  # what leaks is to be seen
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        for shoot in (shoot_page, shoot_picture, shoot_report):
            with contextlib.chdir(name):
                shoot(page)
        browser.close()


if __name__ == "__main__":
    main()
