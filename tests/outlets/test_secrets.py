"""No outlet gives a value away: not of a parameter, nor of a request, nor of an exception.

A new outlet needs one line in OUTLETS.
"""

from __future__ import annotations

import io
import json

import httpx
import pytest
from rich.console import Console

from sessionwatch.outlets.findings_markdown import findings_markdown
from sessionwatch.outlets.findings_report import json_text, sarif_text
from sessionwatch.outlets.github import github_annotations
from sessionwatch.outlets.junit import junit
from sessionwatch.outlets.markup import markup
from sessionwatch.outlets.picture import figure
from sessionwatch.outlets.reportable import Reportable
from sessionwatch.outlets.terminal_status import plain_line, screen
from sessionwatch.testing.summary import Summary, lines
from sessionwatch.testing.verdict import Verdict


async def ask(app, path="/debug/sessions", **headers):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get(path, headers=headers)).text


def printed(watch):
    """Return what `sessionwatch status` and `sessionwatch top` print."""
    report = watch.snapshot().to_dict()
    report["matching"] = {name: len(report[name]) for name in ("open_sessions", "findings")}
    console = Console(file=io.StringIO(), width=200)
    console.print(screen(report, rows=1000))
    return f"{console.file.getvalue()}{plain_line(report)}"


def pictures(watch):
    """Return every picture, also of the process, as HTML."""
    courses = [*watch.timelines(), watch.timeline(watch.process_owner.number)]
    return "".join(markup(figure(course)) for course in courses)


async def ask_for_owners(watch, app, **headers):
    paths = [f"/debug/sessions/owners/{each['owner']['id']}" for each in watch.timelines()]
    return "".join([await ask(app, path, **headers) for path in paths])


def summarised(watch):
    """Return what the pytest plugin says of the same findings, stacks and all."""
    summary = Summary()
    plain = [Reportable.from_finding(each).to_dict() for each in watch.snapshot().findings]
    summary.add(Verdict(findings=plain), "test_one")
    return "\n".join(lines(summary, stacks=True))


def reported(watch, make):
    """Return the watch's findings in a form for CI systems."""
    return make([Reportable.from_finding(each) for each in watch.snapshot().findings])


OUTLETS = {
    "SARIF": lambda watch, app, log: reported(watch, sarif_text),
    "JUnit": lambda watch, app, log: reported(watch, junit),
    "annotations": lambda watch, app, log: reported(watch, github_annotations),
    "findings in Markdown": lambda watch, app, log: reported(watch, findings_markdown),
    "findings in JSON": lambda watch, app, log: reported(watch, json_text),
    "summary of tests": lambda watch, app, log: summarised(watch),
    "pictures": lambda watch, app, log: pictures(watch),
    "owners": lambda watch, app, log: ask_for_owners(watch, app),
    "owners for browsers": lambda watch, app, log: ask_for_owners(watch, app, Accept="text/html"),
    "page": lambda watch, app, log: ask(app),
    "page for browsers": lambda watch, app, log: ask(app, Accept="text/html"),
    "stream": lambda watch, app, log: ask(app, "/debug/sessions/events"),
    "search": lambda watch, app, log: ask(app, "/debug/sessions?search=item"),
    "terminal": lambda watch, app, log: printed(watch),
    "page of one route": lambda watch, app, log: ask(
        app, "/debug/sessions?route=POST /leak/{given}"
    ),
    "refusal": lambda watch, app, log: ask(app, Host="evil.test"),
    "OpenAPI": lambda watch, app, log: ask(app, "/openapi.json"),
    "log": lambda watch, app, log: log,
    "snapshot": lambda watch, app, log: json.dumps(watch.snapshot().to_dict()),
    "snapshot's representation": lambda watch, app, log: repr(watch.snapshot()),
    "findings": lambda watch, app, log: repr([each.finding for each in watch._ledger.findings()]),
    "watch": lambda watch, app, log: repr((watch, watch.settings)),
}
"""By name, what comes out of sessionwatch: a function of the watch, its application and the log."""

EXPECTED = {
    "SW101",
    "SW102",
    "SW105",
    "SW201",
    "SW202",
    "SW203",
    "SW204",
    "SW206",
    "SW304",
    "SW501",
    "SW502",
    "SW503",
}


@pytest.fixture(scope="module", params=["sync", "async"])
def misused(request, misuse):
    return misuse(request.param, OUTLETS)


@pytest.mark.parametrize("outlet", OUTLETS)
def test_no_secret_comes_out(misused, outlet):
    assert misused.texts[outlet]
    assert misused.secrets.found_in(misused.texts[outlet]) == []


def test_there_was_a_lot_to_give_away(misused):
    assert len(misused.secrets) > 40
    assert EXPECTED - misused.codes == set()
    assert misused.internal_errors == 0


def test_what_is_shown_is_what_happened(misused):
    assert "INSERT INTO item (name) VALUES (?)" in misused.statements
    assert "SELECT id  FROM item WHERE name = ? OR name = ? OR id = ?" in misused.statements
    for outlet in ("pictures", "owners", "owners for browsers"):
        for code in ("SW101", "SW202", "SW203", "SW206"):
            assert code in misused.texts[outlet]
    for outlet in ("page", "log", "snapshot"):
        for code in misused.codes:
            assert code in misused.texts[outlet]
        assert "POST /leak/{given}" in misused.texts[outlet]
