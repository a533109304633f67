"""A running application's report on a screen that goes on until somebody presses q."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from sessionwatch.outlets.terminal_status import plain_line, screen
from sessionwatch.remote import Remote, RemoteError

_PAGE_ROWS = 10
_ESCAPE, _ENTER, _BACKSPACE = "\x1b", ("\r", "\n"), ("\x7f", "\b")


@dataclass
class View:
    """What the user wants to see."""

    sort: str = "age"
    search: str = ""
    offset: int = 0
    paused: bool = False
    typing: bool = False
    done: bool = False

    def press(self, key: str) -> None:
        """Do what a key asks for."""
        if self.typing:
            self._type(key)
        elif key in ("q", "Q", "\x03"):
            self.done = True
        elif key == "s":
            self.sort = "idle" if self.sort == "age" else "age"
        elif key == " ":
            self.paused = not self.paused
        elif key == "/":
            self.typing, self.search, self.offset = True, "", 0
        elif key == "n":
            self.offset += _PAGE_ROWS
        elif key == "p":
            self.offset = max(0, self.offset - _PAGE_ROWS)

    def _type(self, key: str) -> None:
        if key in _ENTER:
            self.typing = False
        elif key == _ESCAPE:
            self.typing, self.search = False, ""
        elif key in _BACKSPACE:
            self.search = self.search[:-1]
        elif key.isprintable():
            self.search += key

    def filters(self) -> dict[str, Any]:
        """Return what to ask the server for."""
        asked: dict[str, Any] = {"sort": self.sort, "offset": self.offset, "limit": _PAGE_ROWS}
        return asked | ({"search": self.search} if self.search else {})

    def line(self) -> str:
        """Say which keys there are, and what is set."""
        if self.typing:
            return f"search: {self.search}▏ (Enter, or Escape for none)"
        order = "oldest" if self.sort == "age" else "longest idle"
        search = f', search "{self.search}"' if self.search else ""
        paused = ", paused" if self.paused else ""
        return f"q quit  s sort ({order} first)  / search  n p pages  space pause{search}{paused}"


def follow(remote: Remote, console: Console, interval_seconds: float) -> None:
    """Show the report until q is pressed; raises `RemoteError` if it can't be read even once."""
    view = View()
    report = remote.read(view.filters())
    trouble = ""
    with _keys() as read_keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while not view.done:
            live.update(
                Group(_head(remote, view, trouble), screen(report, _PAGE_ROWS)), refresh=True
            )
            asked = view.filters()
            for key in read_keys(interval_seconds):
                view.press(key)
            if view.done or (view.paused and view.filters() == asked):
                continue
            try:
                report, trouble = remote.read(view.filters()), ""
            except RemoteError as error:
                trouble = trouble or f"since {_now()}: {error}"


def print_lines(remote: Remote, interval_seconds: float, count: int | None) -> None:
    """Print a line at a time, `count` of them; raises `RemoteError` if the first can't be read."""
    printed = 0
    while True:
        try:
            print(f"{_now()} {plain_line(remote.read())}", flush=True)  # noqa: T201
        except RemoteError as error:
            if not printed:
                raise
            print(f"{_now()} {error}", flush=True)  # noqa: T201
        printed += 1
        if printed == count:
            return
        time.sleep(interval_seconds)


def has_keys() -> bool:
    """Whether single keys can be read: on a terminal, where there is `termios` (not on Windows)."""
    try:
        import termios  # noqa: F401
    except ImportError:
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Let keys be read one by one; the terminal is put back as it was."""
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)

    def read(seconds: float) -> str:
        """Wait for keys for some seconds at most, and return those that were pressed."""
        ready, _, _ = select.select([terminal], [], [], seconds)
        return os.read(terminal, 1024).decode(errors="ignore") if ready else ""

    try:
        yield read
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _head(remote: Remote, view: View, trouble: str) -> Text:
    head = Text(f"{remote.url}  {_now()}\n{view.line()}\n", "dim")
    if trouble:
        head.append(f"{trouble}\n", "bold red")
    return head


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
