"""The command `lint`: sources are read, and never imported."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from sessionwatch import cli_report
from sessionwatch.cli_failure import fail

if TYPE_CHECKING:
    from sessionwatch.lint.check import Result
    from sessionwatch.lint.fixes import Change

_DONE, _FOUND = 0, 1
_FORMATS = ("text", "json", "sarif", "github")


@click.command(context_settings={"max_content_width": 100})
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--select", metavar="CODES", help="Look for these alone, with commas between.")
@click.option("--ignore", metavar="CODES", help="Leave these out.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave these files out.")
@click.option(
    "--fastapi",
    metavar="VERSION",
    help="The FastAPI that the code runs with, such as 0.121; default: the one installed here.",
)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True)
@cli_report.option
@click.option("--diff", "shows_diff", is_flag=True, help="Print the changes that --fix would make.")
@click.option("--fix", "fixes", is_flag=True, help="Make them: needs sessionwatch[fix].")
def lint(
    paths: tuple[str, ...],
    select: str | None,
    ignore: str | None,
    exclude: tuple[str, ...],
    fastapi: str | None,
    form: str,
    reports: tuple[str, ...],
    shows_diff: bool,
    fixes: bool,
) -> None:
    """Find in the sources what leaks sessions or loses work, without running them.

    `# sessionwatch: ignore[SW606]` at the end of a line allows what is found there.

    Exit status: 0 nothing found, 1 something found or not readable, 2 wrong usage, or no file.
    """
    from sessionwatch.lint.check import check, installed_fastapi, parse_version
    from sessionwatch.selection import Selection, codes_asked
    from sessionwatch.settings import Settings

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a terminal does not know shows as "?"
    gc.disable()  # it would go through all syntax trees again and again, which are no garbage
    click.get_current_context().call_on_close(gc.enable)
    if shows_diff and fixes:
        fail("--diff shows the changes and --fix makes them: give one")
    cli_report.check(reports)
    try:
        asked = codes_asked("select", select, "option --select")
        asked += codes_asked("ignore", ignore, "option --ignore")
        selection = Selection(Settings.load_with(asked))
        try:
            version = parse_version(fastapi) if fastapi else installed_fastapi()
        except ValueError:
            fail(f"--fastapi: {fastapi!r} is no version: write one such as 0.121")
        look = partial(
            check,
            paths,
            reports=lambda code: selection.reports(code, ""),
            exclude=(*_set_excludes(), *exclude),
            fastapi=version,
        )
        result = look()
    except FileNotFoundError as error:
        fail(f"there is no {error}: name files or folders")
    except ValueError as error:
        fail(str(error))
    if not (result.files or result.unreadable):
        fail(f"no Python file to check in {', '.join(paths)}: name the folders that have some")
    for path in result.empty:
        click.echo(f"sessionwatch: no Python file to check in {path}", err=True)
    if (shows_diff or fixes) and not result.findings:
        _tell_nothing_to_fix(result)
    if shows_diff:
        _show_changes(result, version)
    elif fixes:
        if _fix(result, version):
            result = look()  # as lines have moved
        _print_left(result)
    else:
        _print(result, form)
    cli_report.write((each.reportable() for each in result.findings), reports)
    sys.exit(_FOUND if result.findings or result.unreadable else _DONE)


def _set_excludes() -> tuple[str, ...]:
    from sessionwatch.configuration import tool_settings

    excluded: tuple[str, ...] = tool_settings("exclude").get("exclude", ())
    return excluded


def _print(result: Result, form: str) -> None:
    from sessionwatch.outlets.findings_report import json_text, sarif_text
    from sessionwatch.outlets.github import github_annotations
    from sessionwatch.outlets.lint_text import lint_lines

    findings = [finding.reportable() for finding in result.findings]
    if form == "text":
        click.echo("\n".join(lint_lines(result)))
        return
    forms = {"json": json_text, "sarif": sarif_text, "github": github_annotations}
    click.echo(forms[form](findings), nl=False)
    _tell_unreadable(result)


def _show_changes(result: Result, fastapi: tuple[int, int] | None) -> None:
    from sessionwatch.outlets.unified_diff import unified_diff

    left = len(result.findings)
    for change in _changes(result, fastapi):
        click.echo(unified_diff(change.path, change.before, change.after), nl=False)
        left -= len(change.findings)
    _tell_left(left, ": leave --diff out to see them")
    _tell_unreadable(result)


def _fix(result: Result, fastapi: tuple[int, int] | None) -> bool:
    """Make the changes; returns whether there were any."""
    changed = False
    for change in _changes(result, fastapi):
        try:
            change.write()
        except OSError as error:
            fail(f"--fix: can't write {change.path}: {error.strerror}")
        click.echo(f"fixed {len(change.findings)} in {change.path}")
        changed = True
    return changed


def _changes(result: Result, fastapi: tuple[int, int] | None) -> Iterator[Change]:
    try:
        from sessionwatch.lint.fixes import fixed
    except ImportError:
        fail("--diff and --fix need libcst: pip install 'sessionwatch[fix]'")
    return fixed(result.findings, fastapi)


def _print_left(result: Result) -> None:
    from sessionwatch.outlets.lint_text import finding_lines

    for finding in result.findings:
        click.echo("\n".join(finding_lines(finding)))
    _tell_left(len(result.findings))
    _tell_unreadable(result)


def _tell_nothing_to_fix(result: Result) -> None:
    from sessionwatch.outlets.lint_text import total

    click.echo(f"sessionwatch: {total(result)}: nothing to fix", err=True)


def _tell_left(number: int, more: str = "") -> None:
    if number:
        click.echo(
            f"sessionwatch: {number} left for which there is no mechanical fix{more}", err=True
        )


def _tell_unreadable(result: Result) -> None:
    for path, reason in result.unreadable:
        click.echo(f"sessionwatch: {path}: {reason}", err=True)
