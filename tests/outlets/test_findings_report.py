"""Reports for CI systems: against SARIF's own schema, and whatever the texts of findings hold."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from sessionwatch.outlets.findings_markdown import findings_markdown
from sessionwatch.outlets.findings_report import check_target, report
from sessionwatch.outlets.github import github_annotations
from sessionwatch.outlets.junit import junit
from sessionwatch.outlets.reportable import Reportable
from sessionwatch.outlets.sarif import sarif


def finding(**changes):
    return Reportable(
        **{
            "code": "SW101",
            "name": "session-leak",
            "severity": "error",
            "message": "SW101 session leak: GET / opened a session",
            "fix": "Close it.",
            "cause": "Nothing closed it.",
            "file": "app/db.py",
            "line": 12,
            "function": "get_db",
            "owner": "GET /",
            "stack": ("app/db.py:12 in get_db",),
            "source": "db = SessionLocal()",
            **changes,
        }
    )


NASTY = "a%b\r\n::error::c,d:e <b>&amp;</b> | `x` \x00\x1b]]> ü 🙂"
FINDINGS = [
    finding(),
    finding(code="SW301", name="commit-after-response", severity="warning", line=40, column=5),
    finding(severity="info", file=None, line=0, function="", stack=(), test="test_a.py::test_one"),
    finding(file="/elsewhere/a b/ü.py", message=NASTY, fix=NASTY, owner=NASTY, test=NASTY),
]


@pytest.fixture(scope="module")
def schema():
    """SARIF's own schema 2.1.0, as classes that were generated from it and take nothing else."""
    return pytest.importorskip(
        "pydantic_sarif.model"
    ).StaticAnalysisResultsFormatSarifVersion210JsonSchema


@pytest.mark.parametrize("findings", [[], FINDINGS[:1], FINDINGS], ids=["none", "one", "all"])
def test_sarif_is_valid(schema, findings):
    schema.model_validate_json(json.dumps(sarif(findings)))


@pytest.mark.parametrize(
    ("key", "value"), [("level", "fatal"), ("unheard", 1), ("message", "text"), ("ruleIndex", -2)]
)
def test_the_schema_refuses_what_is_wrong(schema, key, value):
    log = sarif(FINDINGS)
    log["runs"][0]["results"][0][key] = value
    with pytest.raises(ValueError, match=f"results.0.{key}"):
        schema.model_validate_json(json.dumps(log))


def test_sarif_says_where_and_what():
    log = sarif(FINDINGS)
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["SW101", "SW301"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    first, second, placeless, elsewhere = run["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "app/db.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 12}
    assert (second["level"], placeless["level"], placeless["locations"]) == ("warning", "note", [])
    uri = elsewhere["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "file:///elsewhere/a%20b/%C3%BC.py"


def test_fingerprints_are_stable():
    moved = finding(line=99, message="another text", stack=())
    assert moved.fingerprint == finding().fingerprint
    assert finding(code="SW103").fingerprint == finding().fingerprint  # the same leak, collected
    for change in ({"code": "SW107"}, {"file": "b.py"}, {"function": "f"}, {"source": "x"}):
        assert finding(**change).fingerprint != finding().fingerprint
    assert len({each.fingerprint for each in FINDINGS}) == 4
    assert Reportable.from_dict(json.loads(json.dumps(finding().to_dict()))) == finding()


def test_junit():
    suite = ElementTree.fromstring(junit(FINDINGS))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("4", "3")
    cases = suite.findall("testcase")
    assert [case.get("line") for case in cases] == ["12", "40", None, "12"]
    assert [case.find("failure") is not None for case in cases] == [True, True, False, True]
    assert "app/db.py:12 in get_db" in cases[0].find("failure").text
    (clean,) = ElementTree.fromstring(junit([]))[0].findall("testcase")
    assert list(clean) == []


def test_annotations_stay_on_their_line():
    lines = github_annotations(FINDINGS).splitlines()
    assert len(lines) == 4
    assert lines[0] == (
        "::error title=SW101 session-leak,file=app/db.py,line=12::"
        "SW101 session leak: GET / opened a session%0Afix: Close it."
    )
    assert lines[2].startswith("::notice title=SW101 session-leak::test_a.py::test_one: ")
    assert "a%25b%0D%0A::error::c,d:e" in lines[3]


def test_markdown():
    text = findings_markdown(FINDINGS)
    assert "| SW101 session-leak (error) | app/db.py:12 |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 6
    assert rows[2].endswith("| app/db.py:12 | GET / opened a session | 1 |")
    assert "<b>" not in text
    assert findings_markdown([]) == "### sessionwatch\n\nNo findings.\n"
    assert "And 10 more." in findings_markdown([finding(line=number) for number in range(60)])


def test_targets(tmp_path):
    for name in ("a.json", "a.SARIF", "a.xml", "a.md"):
        target = check_target(str(tmp_path / name), "--report")
        report(FINDINGS, target, print)
        assert (tmp_path / name).read_text()
    written = []
    report(FINDINGS, check_target("github", "--report"), written.append)
    assert "".join(written).startswith("::error ")
    for wrong in ("a.txt", "a", str(tmp_path), str(tmp_path / "no" / "a.json")):
        with pytest.raises(ValueError, match=r"^--report: "):
            check_target(wrong, "--report")
