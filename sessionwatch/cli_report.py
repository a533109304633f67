"""`--report`: findings of any command in the forms that CI systems read."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sessionwatch.outlets.reportable import Reportable

_WRONG_USAGE = 2


def check(target: str) -> None:
    """End with one line where a report can't be written there."""
    from sessionwatch.outlets.findings_report import check_target

    try:
        check_target(target, "--report")
    except ValueError as error:
        _fail(str(error))


def write(findings: Iterable[Reportable], target: str) -> None:
    """Write the report, or print annotations."""
    from sessionwatch.outlets.findings_report import report

    try:
        report(findings, target, lambda text: click.echo(text, nl=False))
    except OSError as error:
        _fail(f"--report: can't write {target}: {error.strerror}")


def _fail(message: str) -> None:
    click.echo(f"sessionwatch: {message}", err=True)
    sys.exit(_WRONG_USAGE)
