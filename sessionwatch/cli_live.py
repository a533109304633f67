"""The commands about a running application: `run`, `status` and `top`."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from sessionwatch import cli_conditions, cli_report
from sessionwatch.cli_failure import fail

_DONE, _FAILED, _INTERRUPTED = 0, 1, 130
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.command(context_settings={**_PASSED_ON, "max_content_width": 100})
@click.argument("application", metavar="MODULE:APP")
@cli_conditions.option
@cli_report.option
@click.option("--factory", is_flag=True, help="MODULE:APP is a function that makes it.")
@click.pass_context
def run(
    context: click.Context,
    application: str,
    fail_on: tuple[str, ...],
    reports: tuple[str, ...],
    factory: bool,
) -> None:
    """Serve an unchanged application with sessionwatch in it, and sum up at the end.

    All other options are uvicorn's, such as --port, --reload and --workers.

    Exit status: 0 done, 1 --fail-on is met, 2 wrong usage, 3 the server could not start.
    """
    from uvicorn.main import main as uvicorn

    from sessionwatch import serving

    if ":" not in application:
        fail(f"{application!r} names no application: give MODULE:APP, such as main:app")
    conditions = cli_conditions.checked(fail_on)
    cli_report.check(reports)
    status = _DONE
    with tempfile.TemporaryDirectory() as folder:
        os.environ[serving.APPLICATION] = application
        os.environ[serving.IS_FACTORY] = "yes" if factory else ""
        os.environ[serving.REPORTS] = folder
        # uvicorn ends in good order and then raises the signal again, which must end nothing more.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            options = ["sessionwatch.serving:create", "--factory", *context.args]
            uvicorn(options, standalone_mode=False)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else bool(ended.code)
        except (KeyboardInterrupt, click.Abort):
            pass
        if status == _DONE:
            serving.leave_snapshots()
            status = _sum_up(Path(folder), conditions, reports)
    sys.exit(status)


def _sum_up(folder: Path, conditions: tuple[str, ...], targets: tuple[str, ...]) -> int:
    """Print what all processes have seen; returns the exit status."""
    from sessionwatch.conditions import met_conditions
    from sessionwatch.outlets.reportable import Reportable
    from sessionwatch.outlets.terminal_console import make_console
    from sessionwatch.outlets.terminal_status import screen
    from sessionwatch.serving import merged

    snapshot = merged(folder)
    if snapshot is None:
        click.echo("sessionwatch: no process has left anything to sum up", err=True)
        return _FAILED if conditions else _DONE
    report = snapshot.to_dict()
    report["matching"] = {name: len(report[name]) for name in ("open_sessions", "findings")}
    make_console().print(screen(report))
    cli_report.write(map(Reportable.from_finding, report["findings"]), targets)
    met = met_conditions(report["findings"], conditions)
    if met:
        click.echo(f"sessionwatch: failed, since --fail-on {', '.join(met)} is met", err=True)
    return _FAILED if met else _DONE


@click.command()
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
def status(url: str, as_json: bool) -> None:
    """Show what a running application's sessions are doing now.

    URL is the application's address, such as http://127.0.0.1:8000, or that of its
    /debug/sessions. SESSIONWATCH_TOKEN is sent as the token, if it is set.

    Exit status: 0 done, 2 it could not be read.
    """
    from sessionwatch.outlets.terminal_console import make_console
    from sessionwatch.outlets.terminal_status import screen
    from sessionwatch.remote import RemoteError

    try:
        with _remote(url) as remote:
            report = remote.read()
    except RemoteError as error:
        fail(str(error))
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        make_console().print(screen(report))


@click.command()
@click.argument("url")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
@click.option(
    "--count", type=click.IntRange(1), help="Print so many lines and end, also on a terminal."
)
def top(url: str, interval: float, count: int | None) -> None:
    """Follow a running application's sessions until you press q.

    URL and SESSIONWATCH_TOKEN are as for `sessionwatch status`. Where there is no terminal, a line
    is printed for each look.

    Exit status: 0 done, 2 it could not be read.
    """
    from sessionwatch import top as following
    from sessionwatch.outlets.terminal_console import make_console
    from sessionwatch.remote import RemoteError

    try:
        with _remote(url) as remote:
            if count is None and following.has_keys():
                following.follow(remote, make_console(), interval)
            else:
                following.print_lines(remote, interval, count)
    except RemoteError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _remote(url: str) -> Any:
    from sessionwatch.remote import TOKEN_VARIABLE, Remote

    return Remote(url, os.environ.get(TOKEN_VARIABLE))
