"""`--fail-on` of every command that makes findings while it runs."""

from __future__ import annotations

import click

from sessionwatch.cli_failure import fail

option = click.option(
    "--fail-on", multiple=True, metavar="CODE|SEVERITY", help="Exit 1 when such a finding was made."
)


def checked(fail_on: tuple[str, ...]) -> tuple[str, ...]:
    """Return the conditions as reports write them, or end with one line for a wrong one."""
    from sessionwatch.conditions import check_condition

    try:
        return tuple(check_condition(condition) for condition in fail_on)
    except ValueError as error:
        fail(str(error))
