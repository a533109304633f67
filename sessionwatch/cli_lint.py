"""The command `lint`: sources are read, and never imported."""

from __future__ import annotations

import gc
import io
import sys
from typing import TYPE_CHECKING

import click

from sessionwatch import cli_report
from sessionwatch.cli_failure import fail

if TYPE_CHECKING:
    from sessionwatch.lint.check import Result

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

    Exit status: 0 nothing found, 1 something found or not readable, 2 wrong usage.
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
        result = check(
            paths,
            reports=lambda code: selection.reports(code, ""),
            exclude=(*_set_excludes(), *exclude),
            fastapi=version,
        )
    except FileNotFoundError as error:
        fail(f"there is no {error}: name files or folders")
    except ValueError as error:
        fail(str(error))
    if shows_diff or fixes:
        _fix(result, version, applies=fixes)
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


def _fix(result: Result, fastapi: tuple[int, int] | None, *, applies: bool) -> None:
    """Print or make the changes; what was changed is no longer among the findings."""
    try:
        from sessionwatch.lint.fixes import fixed
    except ImportError:
        fail("--diff and --fix need libcst: pip install 'sessionwatch[fix]'")
    from sessionwatch.outlets.unified_diff import unified_diff

    cured = 0
    for change in fixed(result.findings, fastapi):
        if applies:
            try:
                change.write()
            except OSError as error:
                fail(f"--fix: can't write {change.path}: {error.strerror}")
            click.echo(f"fixed {len(change.findings)} in {change.path}")
            result.findings = [each for each in result.findings if each not in change.findings]
        else:
            click.echo(unified_diff(change.path, change.before, change.after), nl=False)
        cured += len(change.findings)
    left = len(result.findings) if applies else len(result.findings) - cured
    if left:
        click.echo(f"sessionwatch: {left} left for which there is no mechanical fix", err=True)
    _tell_unreadable(result)


def _tell_unreadable(result: Result) -> None:
    for path, reason in result.unreadable:
        click.echo(f"sessionwatch: {path}: {reason}", err=True)
