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
    "reports",
    multiple=True,
    metavar="FILE",
    help="Write the findings as .json, .sarif, .xml (JUnit) or .md, too; `github` annotates; "
    "again for more.",
)


def check(targets: tuple[str, ...]) -> None:
    """End with one line where a report can't be written to one of these."""
    if not targets:
        return
    from sessionwatch.outlets.findings_report import check_target

    try:
        for target in targets:
            check_target(target, "--report")
    except ValueError as error:
        fail(str(error))


def write(findings: Iterable[Reportable], targets: tuple[str, ...]) -> None:
    """Write each of the reports, or print annotations."""
    if not targets:
        return
    from sessionwatch.outlets.findings_report import report

    found = list(findings)
    for target in targets:
        try:
            report(found, target, lambda text: click.echo(text, nl=False))
        except OSError as error:
            fail(f"--report: can't write {target}: {error.strerror}")
