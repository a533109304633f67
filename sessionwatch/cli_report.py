"""`--report`: findings of any command in the forms that CI systems read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from sessionwatch.cli_failure import fail

if TYPE_CHECKING:
    from sessionwatch.outlets.reportable import Reportable

option = click.option(
    "--report",
    metavar="FILE",
    help="Write the findings as .json, .sarif, .xml (JUnit) or .md, too; `github` annotates.",
)


def check(target: str) -> None:
    """End with one line where a report can't be written there."""
    from sessionwatch.outlets.findings_report import check_target

    try:
        check_target(target, "--report")
    except ValueError as error:
        fail(str(error))


def write(findings: Iterable[Reportable], target: str) -> None:
    """Write the report, or print annotations."""
    from sessionwatch.outlets.findings_report import report

    try:
        report(findings, target, lambda text: click.echo(text, nl=False))
    except OSError as error:
        fail(f"--report: can't write {target}: {error.strerror}")
