"""What can be asked for, where, and what is said of mistakes."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

LEAKS = """
def test_fine():
    pass

def test_leak():
    open_and_keep()
"""


@pytest.mark.parametrize("place", ["ini", "pyproject", "environment"])
def test_asked_for_in_a_file(shop, pytester, monkeypatch, place):
    if place == "ini":
        (pytester.path / "pytest.ini").write_text("[pytest]\npythonpath=.\nsessionwatch=error\n")
    elif place == "pyproject":
        pytester.makepyprojecttoml('[tool.sessionwatch]\npytest = "error"\n')
    else:
        monkeypatch.setenv("SESSIONWATCH_PYTEST", "error")
    assert shop(LEAKS, asked="").leaking == ["test_shop.py::test_leak"]
    assert shop(LEAKS, asked="--sessionwatch=warn").counts == {"passed": 2}
    off = shop(LEAKS, asked="--sessionwatch=off")
    assert "SW101" not in off


def test_asked_for_in_the_project_of_the_tests_from_elsewhere(shop, pytester, monkeypatch):
    """With its other settings, and paths that are relative to its file."""
    pytester.makepyprojecttoml(
        '[tool.sessionwatch]\npytest = "error"\nreport = "leaks.json"\nignore = ["SW103"]\n'
    )
    elsewhere = pytester.mkdir("elsewhere")
    (elsewhere / "pyproject.toml").write_text('[tool.sessionwatch]\nignore = ["SW1"]\n')
    monkeypatch.chdir(elsewhere)
    outcome = shop(LEAKS, str(pytester.path / "test_shop.py"), asked="")
    assert outcome.counts == {"passed": 2, "error": 1}
    (finding,) = json.loads((pytester.path / "leaks.json").read_text())["findings"]
    assert finding["code"] == "SW101"
    assert list(elsewhere.iterdir()) == [elsewhere / "pyproject.toml"]


def test_path_may_follow_the_option(shop):
    assert shop(LEAKS, "test_shop.py").leaking == ["test_shop.py::test_leak"]


def test_level_that_there_is_not_is_told_those_that_there_are(shop):
    outcome = shop(LEAKS, asked="--sessionwatch=loud")
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    assert (
        "argument --sessionwatch/--sessionwatch=error/--sessionwatch=warn/--sessionwatch=off: "
        "ignored explicit argument 'loud'"
    ) in outcome


def test_select_and_ignore(shop, pytester):
    assert shop(LEAKS, "--sessionwatch-ignore=SW101,SW103").counts == {"passed": 2}
    assert shop(LEAKS, "--sessionwatch-select=SW2").counts == {"passed": 2}
    assert shop(LEAKS, "--sessionwatch-select=SW1").leaking == ["test_shop.py::test_leak"]
    pytester.makepyprojecttoml('[tool.sessionwatch]\nignore = ["SW101"]\n')
    assert shop(LEAKS).counts == {"passed": 2}
    assert shop(LEAKS, "--sessionwatch-ignore=SW2").leaking == ["test_shop.py::test_leak"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--sessionwatch-select=SW999",), "unknown code 'SW999'"),
        (("--sessionwatch-select=SW999",), "(option --sessionwatch-select)"),
        (
            ("--sessionwatch", "-o", "sessionwatch_ignore=SW999"),
            "(sessionwatch_ignore in pytest's own file)",
        ),
        (("--sessionwatch-report=leaks.txt",), "neither 'github' nor a file in .json, .sarif"),
        (("--sessionwatch-report=nowhere/leaks.json",), "name a file in a folder that is there"),
        (("--sessionwatch-baseline=none.json",), "make it with --sessionwatch-write-baseline"),
        (("--sessionwatch-write-baseline",), "needs --sessionwatch-baseline=FILE"),
        (("-o", "sessionwatch=loud"), "use one of off, warn, error"),
    ],
)
def test_mistakes_are_told_in_one_line(shop, options, told):
    asked = "" if "-o" in options else "--sessionwatch"
    outcome = shop(LEAKS, *options, asked=asked)
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in outcome.text.splitlines() if "sessionwatch: " in line]
    assert told in line


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (("--sessionwatch-report=leaks.sarif",), "--sessionwatch-report"),
        (("--sessionwatch-ignore=SW103",), "--sessionwatch-ignore"),
        (("--sessionwatch-baseline=known.json",), "--sessionwatch-baseline"),
    ],
)
@pytest.mark.parametrize("table", ["", '[tool.sessionwatch]\nignore = ["SW107"]\n'])
def test_option_that_does_nothing_is_a_mistake(shop, pytester, options, option, table):
    pytester.makepyprojecttoml(table)
    outcome = shop(LEAKS, *options, asked="")
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    assert f"sessionwatch: {option} needs --sessionwatch, too" in outcome
    assert shop(LEAKS, *options, asked="--sessionwatch=off").counts == {"passed": 2}


def test_misspelt_setting_is_told_even_where_nobody_asked(shop, pytester):
    pytester.makepyprojecttoml('[tool.sessionwatch]\npytst = "error"\n')
    outcome = shop(LEAKS, asked="")
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    assert "unknown setting 'pytst'; did you mean 'pytest'? ([tool.sessionwatch] of " in outcome


SOMETIMES_KEPT = """
import os

def open_one():
    session = SessionLocal()
    session.execute(ONE)
    if "KEPT" in os.environ:
        kept.append(session)
"""


@pytest.mark.parametrize("codes", [["SW101"], ["SW103"], ["SW101", "SW103"], ["SW1"]])
def test_mark_is_about_the_leak_whenever_the_collector_comes(shop, monkeypatch, codes):
    source = (
        f"{SOMETIMES_KEPT}\n@pytest.mark.sessionwatch(allow={codes})\ndef test_leak(): open_one()\n"
    )
    collected = shop(source)
    monkeypatch.setenv("KEPT", "1")
    kept = shop(source)
    for outcome in (collected, kept):
        assert (outcome.status, outcome.counts) == (0, {"passed": 1})
        assert "allowed and not found" not in outcome


def test_baseline_is_about_the_leak_whenever_the_collector_comes(shop, monkeypatch):
    source = f"{SOMETIMES_KEPT}\ndef test_leak(): open_one()\n"
    known = "--sessionwatch-baseline=known.json"
    assert "SW103" in shop(source)
    shop(source, known, "--sessionwatch-write-baseline")
    monkeypatch.setenv("KEPT", "1")
    assert "SW101" in shop(source)
    outcome = shop(source, known)
    assert (outcome.status, outcome.counts) == (0, {"passed": 1})
    assert "tolerated by known.json: 1" in outcome
    assert "no longer found" not in outcome


def test_mark_allows_what_is_meant(shop):
    outcome = shop("""
@pytest.mark.sessionwatch(allow=["SW101"])
def test_meant():
    open_and_keep()

@pytest.mark.sessionwatch(allow=["SW101"])
def test_not_needed():
    pass

@pytest.mark.sessionwatch(allow=["SW1", "SW5"])
def test_meant_by_the_beginning_of_codes():
    open_and_keep()

@pytest.mark.sessionwatch(allow=["SW999"])
def test_wrong_code():
    pass

@pytest.mark.sessionwatch("SW101")
def test_wrong_call():
    pass
""")
    assert outcome.counts == {"passed": 3, "error": 2}
    assert "allowed and not found: SW101 in test_shop.py::test_not_needed" in outcome
    assert "found: SW5 in test_shop.py::test_meant_by_the_beginning_of_codes" in outcome
    assert "test_wrong_code: there is no finding 'SW999'; did you mean 'SW" in outcome
    assert "write @pytest.mark.sessionwatch(allow=['SW101'])" in outcome


HANDLE = """
def test_counts(sessionwatch):
    with SessionLocal() as session:
        session.add(Item(name="lamp"))
        session.commit()
    assert (sessionwatch.counts.opened, sessionwatch.counts.committed) == (1, 1)
    assert [each.opened_at.place.function for each in sessionwatch.sessions] == ["test_counts"]
    assert sessionwatch.findings == []
    sessionwatch.assert_clean()

@pytest.fixture
def session():
    with SessionLocal() as session:
        session.execute(ONE)
        yield session

def test_fixtures_are_not_meant(sessionwatch, session):
    sessionwatch.assert_clean()

def test_fixtures_in_another_order(session, sessionwatch):
    sessionwatch.assert_clean()

def test_open(sessionwatch):
    session = SessionLocal()
    session.execute(ONE)
    with pytest.raises(AssertionError, match="SW101 session leak.* opened a session at"):
        sessionwatch.assert_clean()
    session.close()
    sessionwatch.assert_clean()

def test_request(sessionwatch):
    import asyncio
    from httpx import ASGITransport, AsyncClient

    async def send():
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            await client.get("/leak")

    asyncio.run(send())
    assert [finding.code for finding in sessionwatch.findings] == ["SW101"]
    with pytest.raises(AssertionError, match="GET /leak"):
        sessionwatch.assert_clean()
"""


@pytest.mark.parametrize("asked", ["", "--sessionwatch=warn"])
def test_fixture_for_code_that_asserts(shop, asked):
    outcome = shop(HANDLE, asked=asked)
    assert (outcome.status, outcome.counts) == (0, {"passed": 5})


def test_summary(shop):
    outcome = shop("""
def test_one():
    with SessionLocal() as session:
        session.execute(ONE)
        session.rollback()

def test_two():
    open_and_keep()
""")
    assert "SW101 session-leak (error) at shop.py:" in outcome
    assert "sessions: 2 opened, 1 closed, 0 collected, 0 committed, 1 rolled back" in outcome
    assert "connections: 3 out, 2 back" in outcome
    assert " by test_shop.py::test_one: session opened at test_shop.py:" in outcome
    assert "      shop.py:" not in outcome.text.partition("= sessionwatch =")[2]


def test_summary_has_the_stacks_with_v(shop):
    outcome = shop(LEAKS, "-v")
    summary = outcome.text.partition("= sessionwatch =")[2]
    assert "in open_and_keep\n      test_shop.py:" in summary
    assert "    fix: Close the session" in summary


def test_baseline(shop, pytester):
    known = "--sessionwatch-baseline=known.json"
    written = shop(LEAKS, known, "--sessionwatch-write-baseline")
    assert (written.status, written.counts) == (0, {"passed": 2})
    assert "wrote 1 finding into known.json" in written

    moved = "# a line above\n\n" + LEAKS
    tolerated = shop(moved, known)
    assert (tolerated.status, tolerated.leaking) == (0, [])
    assert "tolerated by known.json: 1" in tolerated

    new = shop(moved + "\ndef test_new_leak(): open_and_keep()\n", known)
    assert (new.status, new.leaking) == (1, ["test_shop.py::test_new_leak"])

    cured = shop("def test_leak(): pass\n", known)
    assert cured.status == 0
    told = "no longer found, take it out of known.json: SW101 of test_shop.py::test_leak"
    assert told in cured
    assert told not in shop("def test_leak(): pass\ndef test_fine(): pass\n", known, "-k", "fine")


def test_baseline_that_is_none(shop, pytester):
    (pytester.path / "known.json").write_text("[")
    outcome = shop(LEAKS, "--sessionwatch-baseline=known.json")
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    assert "can't read the baseline known.json (JSONDecodeError): make it anew" in outcome


@pytest.mark.parametrize("report", ["leaks.json", "leaks.sarif"])
def test_report_is_no_baseline(shop, report):
    shop(LEAKS, f"--sessionwatch-report={report}")
    outcome = shop(LEAKS, f"--sessionwatch-baseline={report}")
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in outcome.text.splitlines() if "sessionwatch: " in line]
    assert f"{report} is no baseline (a report, perhaps): name another file" in line
    assert line.endswith("make it with --sessionwatch-write-baseline")


def test_reports(shop, pytester):
    for name in ("leaks.json", "leaks.sarif", "leaks.xml", "leaks.md"):
        assert shop(LEAKS, f"--sessionwatch-report={name}").status == 1
    (finding,) = json.loads((pytester.path / "leaks.json").read_text())["findings"]
    assert finding["code"] == "SW101"
    assert finding["test"] == "test_shop.py::test_leak"
    assert (finding["file"], finding["function"]) == ("shop.py", "open_and_keep")
    log = json.loads((pytester.path / "leaks.sarif").read_text())
    (result,) = log["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "shop.py"
    tree = ElementTree.parse(pytester.path / "leaks.xml")
    assert [case.get("classname") for case in tree.iter("testcase")] == ["sessionwatch.SW101"]
    assert "| SW101 session-leak (error) | shop.py:" in (pytester.path / "leaks.md").read_text()


def test_report_of_annotations(shop):
    outcome = shop(LEAKS, "--sessionwatch-report=github")
    (line,) = [line for line in outcome.text.splitlines() if line.startswith("::")]
    assert line.startswith("::error title=SW101 session-leak,file=shop.py,line=")
    assert "test_shop.py::test_leak: SW101 session leak" in line
