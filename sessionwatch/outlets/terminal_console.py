"""Where tables and texts are printed."""

from __future__ import annotations

import os
import sys

from rich.console import Console

_COLUMNS_OF_A_FILE = 100


def make_console() -> Console:
    """Return a console as wide as the terminal, or 100 columns wide in a file or a pipe."""
    measured = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if measured else _COLUMNS_OF_A_FILE)
