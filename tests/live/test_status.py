"""`sessionwatch status` and `sessionwatch top`, of a running application and of what is none."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import sessionwatch

PACKAGE_ROOT = str(Path(sessionwatch.__file__).resolve().parents[1])
TOKEN = "open sesame"


@pytest.fixture
def shop(serve):
    """A running application that has leaked a session; returns its command and address."""
    running, client = serve()
    client.get("/leak/1")
    running.wait_for("SW101 session leak")
    return running, str(client.base_url)


def done(running):
    """Wait for a command and return its exit status and what it printed."""
    status = running.process.wait(60)
    running._reader.join(10)
    return status, running.printed


def test_status_shows_pools_sessions_findings_and_routes(start, shop, leak_line):
    status, printed = done(start("status", shop[1]))
    assert status == 0
    assert "1 opened, 0 closed, 1 open, 1 leaked" in printed
    assert "1/15" in printed
    assert f"shop.py:{leak_line} in get_db" in printed
    assert "SW101 error" in printed
    assert "GET /leak/{number}" in printed


def test_status_as_json(start, shop):
    status, printed = done(start("status", shop[1] + "/debug/sessions", "--json"))
    assert status == 0
    assert json.loads(printed)["totals"]["leaked"] == 1


def test_the_token_comes_from_the_environment(start, serve):
    _, client = serve(SESSIONWATCH_TOKEN=TOKEN)
    url = str(client.base_url)
    assert done(start("status", url, SESSIONWATCH_TOKEN=TOKEN))[0] == 0
    for token, line in (
        ("wrong", "does not know the token in SESSIONWATCH_TOKEN"),
        (None, "asks for a token: set SESSIONWATCH_TOKEN to it"),
    ):
        given = {} if token is None else {"SESSIONWATCH_TOKEN": token}
        for command in ("status", "top"):
            status, printed = done(start(command, url, **given))
            assert (status, printed.count("\n")) == (2, 1)
            assert line in printed


class Stranger(BaseHTTPRequestHandler):
    """Answers as the test wants."""

    status, body = 200, b""

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def stranger():
    """A server that is not sessionwatch; returns its class and its address."""
    handler = type("Handler", (Stranger,), {})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


OLDER = {"totals": {}, "routes": {}, "open_sessions": [], "findings": [], "pools": []}


@pytest.mark.parametrize("command", ["status", "top"])
@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (404, b"", "answers with status 404: give the whole address that sessionwatch"),
        (500, b"", "answers with status 500"),
        (403, b"no", "answers with status 403, and it is not sessionwatch that does"),
        (200, b"<html>", "what answers at {url}/debug/sessions is not sessionwatch"),
        (200, b"[1]", "is not sessionwatch"),
        (200, b"\xff", "is not sessionwatch"),
        (200, json.dumps(OLDER).encode(), "is older than this one: use one version on both sides"),
    ],
)
def test_what_is_no_sessionwatch_is_told_in_a_line(start, stranger, command, status, body, line):
    handler, url = stranger
    handler.status, handler.body = status, body
    ended, printed = done(start(command, url))
    assert (ended, printed.count("\n")) == (2, 1)
    assert line.format(url=url) in printed


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://127.0.0.1:9", "does not answer ("),
        ("127.0.0.1:8000", "is no URL of a server: give one such as http://127.0.0.1:8000"),
        ("localhost", "is no URL of a server"),
        ("ftp://127.0.0.1", "is no URL of a server"),
        ("http://[::1", "is no URL"),
        ("http://no-such-host.invalid", "does not answer ("),
    ],
)
def test_an_address_where_nobody_is_is_told_in_a_line(start, url, line):
    ended, printed = done(start("status", url))
    assert (ended, printed.count("\n")) == (2, 1)
    assert line in printed


def test_top_prints_lines_where_there_is_no_terminal(start, shop):
    status, printed = done(start("top", shop[1], "--interval", "0.1", "--count", "3"))
    assert status == 0
    lines = printed.splitlines()
    assert len(lines) == 3
    assert all("1 leaked" in line and "1/15 of sqlite:///" in line for line in lines)


def test_top_goes_on_when_the_server_is_gone(start, shop):
    running, url = shop
    top = start("top", url, "--interval", "0.1")
    top.wait_for("1 leaked")
    running.end(signal.SIGINT)
    top.wait_for("does not answer")
    assert top.end(signal.SIGINT) == 130
    assert "Traceback" not in top.printed


class Terminal:
    """`sessionwatch top` on a pseudo-terminal."""

    def __init__(self, url, folder):
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sessionwatch", "top", url, "--interval", "0.2"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": PACKAGE_ROOT,
                "TERM": "xterm",
                "COLUMNS": "200",
                "LINES": "60",
            },
        )
        os.close(slave)

    def press(self, keys):
        os.write(self._master, keys.encode())

    def read(self):
        """Read what has come."""
        ready, _, _ = select.select([self._master], [], [], 0.1)
        if ready:
            try:
                self.text += os.read(self._master, 100_000).decode(errors="replace")
            except OSError:
                return

    def wait_for(self, pattern):
        """Wait until it stands on the screen, from now on."""
        self.text = ""
        deadline = time.monotonic() + 30
        while not re.search(pattern, self.text):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            self.read()

    def end(self):
        """Wait for its end, reading on; returns its exit status."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read()
        self.read()
        return self.process.wait(1)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._master)


@pytest.fixture
def terminal(shop, folder):
    terminal = Terminal(shop[1], folder)
    yield terminal
    terminal.close()


def test_top_on_a_terminal_until_q(terminal, leak_line):
    terminal.wait_for(rf"shop\.py:{leak_line} in get_db")
    terminal.wait_for("q quit  s sort \\(oldest first\\)")
    terminal.press("s")
    terminal.wait_for("longest idle first")
    terminal.press("/nowhere")
    terminal.wait_for("search: nowhere")
    terminal.press("\r")
    terminal.wait_for("no open sessions")
    terminal.press("/\x1b")
    terminal.wait_for("SW101 error")
    terminal.press(" ")
    terminal.wait_for("paused")
    terminal.press("n")
    terminal.wait_for("0 of 1 open sessions")
    terminal.press("pq")
    assert terminal.end() == 0
    assert "\x1b[?1049l" in terminal.text  # the screen of before is back


def test_top_on_a_terminal_tells_that_the_server_is_gone(terminal, shop):
    terminal.wait_for("SW101 error")
    shop[0].end(signal.SIGINT)
    terminal.wait_for("since .*does not answer")
    terminal.press("q")
    assert terminal.end() == 0
