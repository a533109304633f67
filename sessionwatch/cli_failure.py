"""How every command ends when it was called wrongly."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

_WRONG_USAGE = 2


def fail(message: str) -> NoReturn:
    """Say in one line what is wrong, and end with the exit status for it."""
    click.echo(f"sessionwatch: {message}", err=True)
    sys.exit(_WRONG_USAGE)
