"""The command line: a thin edge that reads options, runs the lab and prints its report."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionwatch import cli_conditions, cli_lint, cli_live, cli_report
from sessionwatch.cli_failure import fail

if TYPE_CHECKING:
    from sessionwatch.lab.report import Report
    from sessionwatch.lab.runner import Plan
    from sessionwatch.lab.yours import Yours

_INTERRUPTED = 130
_LARGEST_POOL = 15
"""Twice this many requests must fit into the forty threads that FastAPI runs sync code in."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sessionwatch")
def main() -> None:
    """Name the SQLAlchemy session that leaked, the request and the line that opened it."""


@main.command()
@click.option("--database-url", metavar="URL", help="Where to run; default: an embedded SQLite.")
@click.option("--async", "is_async", is_flag=True, help="Run the AsyncSession variants.")
@click.option(
    "--get-db", metavar="MODULE:NAME", help="Run your own dependency beside the classic variants."
)
@click.option(
    "--sessionmaker",
    metavar="MODULE:NAME",
    help="What makes its sessions; default: found where it is written.",
)
@click.option(
    "--variant", "variants", multiple=True, metavar="KEY", help="Only this get_db; again for more."
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="KEY",
    help="Only this scenario; again for more.",
)
@click.option("--list", "only_list", is_flag=True, help="List variants and scenarios, run nothing.")
@click.option(
    "--repeat", type=click.IntRange(1), default=1, help="Measure every cell so many times."
)
@click.option(
    "--pool-size",
    type=click.IntRange(1, _LARGEST_POOL),
    default=5,
    show_default=True,
    help="Connections in the pool.",
)
@click.option(
    "--seed", type=int, help="Shuffle the order of the scenarios, the same for the same seed."
)
@cli_conditions.option
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print it for a pull request.")
@cli_report.option
@click.option(
    "--html",
    "html_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True),
    help="Write it into a file for a browser, too.",
)
def compare(
    database_url: str | None,
    is_async: bool,
    get_db: str | None,
    sessionmaker: str | None,
    variants: tuple[str, ...],
    scenarios: tuple[str, ...],
    only_list: bool,
    repeat: int,
    pool_size: int,
    seed: int | None,
    fail_on: tuple[str, ...],
    as_json: bool,
    as_markdown: bool,
    reports: tuple[str, ...],
    html_file: str | None,
) -> None:
    """Run every classic get_db on a real server, and check each verdict against the database.

    Exit status: 0 done, 1 two testimonies disagree or --fail-on is met, 2 wrong usage.
    """
    from sessionwatch.lab.errors import LabError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that only knows ASCII shows "?"
    try:
        if only_list:
            _print_list(is_async)
            return
        conditions = cli_conditions.checked(fail_on)
        cli_report.check(reports)
        if as_json and as_markdown:
            raise LabError("--json and --markdown are two ways to print the report: give one")
        if html_file is not None:
            _check_folder(html_file)
        yours = _inspect(get_db, sessionmaker, is_async)
        plan = _make_plan(
            database_url,
            is_async,
            yours,
            variants,
            scenarios,
            repeat=repeat,
            pool_size=pool_size,
            seed=seed,
        )
        measured = _run(plan, conditions)
    except LabError as error:
        fail(str(error))
    except KeyboardInterrupt:
        click.echo(
            "sessionwatch: interrupted; the servers are ended, nothing is left behind", err=True
        )
        sys.exit(_INTERRUPTED)
    if html_file is not None:
        _write_html(measured, html_file)
    if reports:
        from sessionwatch.outlets.reportable import of_variants

        cli_report.write(of_variants(measured["variants"]), reports)
    _print_report(measured, as_json, as_markdown)
    sys.exit(measured["exit_status"])


def _inspect(get_db: str | None, sessionmaker: str | None, is_async: bool) -> Yours | None:
    from sessionwatch.lab.errors import LabError
    from sessionwatch.lab.yours import inspect

    if get_db is None:
        if sessionmaker is not None:
            raise LabError("--sessionmaker goes with --get-db: name your dependency too")
        return None
    yours = asyncio.run(inspect(get_db, sessionmaker))
    if is_async and not yours.is_async:
        raise LabError(f"--async: {yours.made_by} makes sync sessions: leave --async out")
    return yours


def _make_plan(
    database_url: str | None,
    is_async: bool,
    yours: Yours | None,
    variants: tuple[str, ...],
    scenarios: tuple[str, ...],
    **numbers: Any,
) -> Plan:
    from sessionwatch.lab.choice import choose_beside, choose_scenarios, choose_variants
    from sessionwatch.lab.database import choose_database
    from sessionwatch.lab.runner import Plan

    is_async = yours.is_async if yours else is_async
    return Plan(
        variants=choose_beside(yours, variants)
        if yours
        else choose_variants(variants, is_async=is_async),
        scenarios=choose_scenarios(scenarios),
        database=choose_database(database_url, is_async=is_async),
        **numbers,
    )


def _run(plan: Plan, conditions: tuple[str, ...]) -> Report:
    from sessionwatch.lab.report import build_report
    from sessionwatch.lab.runner import run
    from sessionwatch.outlets.terminal_progress import progress_bar

    # An ended terminal or a `kill` must clean up too, and Ctrl-C already does.
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    with progress_bar(plan.steps) as progress:
        measured = asyncio.run(run(plan, progress))
    return build_report(plan, measured, fail_on=conditions, seconds=time.monotonic() - started)


def _interrupt(*_: object) -> None:
    """Do as Ctrl-C does, also for a job in the background, for which a shell has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _print_list(is_async: bool) -> None:
    from sessionwatch.lab.choice import choose_scenarios, choose_variants
    from sessionwatch.outlets.terminal import print_list

    print_list(choose_variants((), is_async=is_async), choose_scenarios(()))


def _check_folder(html_file: str) -> None:
    """Find out before the run, which takes a while, that the file can't be written."""
    from sessionwatch.lab.errors import LabError

    folder = Path(html_file).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise LabError(f"--html: can't write in the folder {folder}: name a file in another")


def _write_html(report: Report, html_file: str) -> None:
    from sessionwatch.outlets.report_html import html_report

    try:
        Path(html_file).write_text(html_report(report), encoding="utf-8")
    except OSError as error:
        fail(f"--html: can't write {html_file} ({error.strerror})")
    click.echo(f"sessionwatch: the report is in {html_file}", err=True)


def _print_report(report: Report, as_json: bool, as_markdown: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    if as_markdown:
        from sessionwatch.outlets.report_markdown import markdown_report

        click.echo(markdown_report(report))
        return
    from sessionwatch.outlets.terminal import print_report

    print_report(report)


main.add_command(cli_lint.lint)
main.add_command(cli_live.run)
main.add_command(cli_live.status)
main.add_command(cli_live.top)


@main.command()
@click.argument("rule", required=False, metavar="[CODE|NAME|FAMILY]")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def explain(rule: str | None, as_json: bool) -> None:
    """Explain a finding such as SW301 or commit-after-response, list those of SW3, or all.

    Exit status: 0 done, 2 unknown code or name.
    """
    from sessionwatch.outlets import terminal_explain as outlet
    from sessionwatch.rules.lookup import all_rules, family, find_rule

    rules = list(all_rules().values()) if rule is None else family(rule)
    if rule is None or rules:
        if as_json:
            click.echo(json.dumps([outlet.plain_summary(each) for each in rules], indent=2))
        else:
            outlet.print_rules(rules)
        return
    try:
        found = find_rule(rule)
    except LookupError as error:
        fail(str(error))
    if as_json:
        click.echo(json.dumps(outlet.plain_rule(found), indent=2))
    else:
        outlet.print_rule(found)
