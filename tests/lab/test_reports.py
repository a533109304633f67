"""`compare --html` and `compare --markdown`: what they say is what was measured."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sessionwatch.outlets.report_html import html_report
from sessionwatch.outlets.report_markdown import markdown_report


class Reader(HTMLParser):
    """Collects ids, addresses, and the text below each id."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self, html):
        super().__init__()
        self.ids, self.addresses, self.tags = [], [], []
        self.texts: dict[str, str] = {}
        self._open: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.addresses += [attributes[name] for name in ("href", "src") if name in attributes]
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in self.VOID:
            self._open.append(attributes.get("id"))

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        for name in filter(None, self._open):
            self.texts[name] = self.texts.get(name, "") + data


@pytest.fixture(scope="module")
def page(full_run):
    return html_report(full_run.report)


@pytest.fixture(scope="module")
def reader(page):
    return Reader(page)


def test_every_cell_of_the_matrix_leads_to_its_evidence(full_run, reader):
    cells = [
        f"{variant['key']}-in-{cell['scenario']}"
        for variant in full_run.report["variants"]
        for cell in variant["cells"]
    ]
    assert len(cells) == 168
    assert {f"#{cell}" for cell in cells} <= set(reader.addresses)
    assert len(reader.ids) == len(set(reader.ids))
    assert {each.removeprefix("#") for each in reader.addresses if each.startswith("#")} <= set(
        reader.ids
    )
    assert reader.tags.count("svg") == len(cells)


def test_the_file_loads_nothing_and_runs_nothing(page, reader):
    assert "script" not in reader.tags
    assert all(address.startswith(("#", "data:")) for address in reader.addresses)
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|https?://", page)


def test_a_cell_shows_both_testimonies_and_the_findings(full_run, reader):
    text = reader.texts["no-finally-in-http-exception"]
    cell = full_run.cell("no-finally", "http-exception")
    assert "the connection stays out until the garbage collector runs" in text
    for comparison in cell["comparisons"]:
        assert comparison["subject"] in text
    for finding in cell["findings"]:
        assert finding["message"] in text
        assert finding["fix"] in text


def test_the_picture_shows_the_response_before_the_commit(
    full_run, reader, commits_after_response, has_function_scope
):
    """The full variant with a failing commit, and the function-scoped one the other way round."""
    if not commits_after_response:
        pytest.skip("this FastAPI commits before the response")
    late = full_run.cell("full", "commit-fails")
    assert _order(late["timeline"], "response", "commit fails")
    said = r"The commit of session 1 failed [\d.]+ (µs|ms) after the response had started"
    assert re.search(said, reader.texts["full-in-commit-fails"])
    if not has_function_scope:
        return
    early = full_run.cell("recommended", "commit-fails")
    assert _order(early["timeline"], "commit fails", "raised")
    assert early["timeline"]["response_started"] == 0
    text = reader.texts["recommended-in-commit-fails"]
    assert re.search(r"ended with IntegrityError after [\d.]+ ms, before any response", text)
    good = full_run.cell("recommended", "success")
    assert _order(good["timeline"], "commit", "response")
    said = r"committed [\d.]+ (µs|ms) before the response started"
    assert re.search(said, reader.texts["recommended-in-success"])


def _order(course, *kinds):
    """Whether the moments of these kinds came one after the other."""
    at = {moment["kind"]: moment["at"] for lane in course["lanes"] for moment in lane["moments"]}
    return [at[kind] for kind in kinds] == sorted(at[kind] for kind in kinds)


def test_the_course_of_a_cell_agrees_with_what_was_proven(full_run):
    """Connections still out, commits and sessions, as the pool and the call log have them."""
    for variant in full_run.report["variants"]:
        for cell in variant["cells"]:
            if cell["burst"]:
                continue
            lanes = cell["timeline"]["lanes"]
            opened = sum(lane["kind"] == "session" for lane in lanes)
            out = sum(
                span["to"] is None
                for lane in lanes
                if lane["kind"] == "connection"
                for span in lane["spans"]
            )
            commits = sum(
                moment["kind"] == "commit" and moment["writes"] > 0
                for lane in lanes
                for moment in lane["moments"]
            )
            where = variant["key"], cell["scenario"]
            assert (where, opened) == (where, cell["proven"]["opened"])
            assert (where, out) == (where, cell["proven"]["out_after_collection"])
            assert (where, commits > 0) == (where, cell["proven"]["kept"])


def test_the_line_at_fault_is_marked_in_the_sources(full_run, page, reader):
    for variant in full_run.report["variants"]:
        text = reader.texts[f"source-{variant['key']}"]
        for line in variant["source"].splitlines():
            assert line in text
        if variant["fault"]:
            assert f"Line {variant['fault']}: {variant['fault_reason']}" in text
    marked = sum(bool(variant["fault"]) for variant in full_run.report["variants"])
    assert page.count('<li class="fault">') == marked > 0


def test_numbers_quiz_and_versions_are_there(full_run, reader, page):
    for question in full_run.report["quiz"]:
        assert question["asks"] in reader.texts["quiz"]
        assert all(words in reader.texts["quiz"] for words in question["evidence"])
    for variant in full_run.report["variants"]:
        assert variant["verdict"] in reader.texts["numbers"]
    for name, version in full_run.report["versions"].items():
        assert f"{name} {version}" in page
    assert f"In {full_run.report['comparisons']} comparisons" in reader.texts["conclusion"]


def test_a_disagreement_is_told_of(full_run):
    found = {"variant": "full", "scenario": "success", "words": "sessions: 1 and <2>"}
    report = {**full_run.report, "disagreements": [found]}
    assert "full, success: sessions: 1 and &lt;2&gt;" in html_report(report)
    assert "- full, success: sessions: 1 and \\<2\\>" in markdown_report(report)


def test_markdown_has_a_row_for_each_variant_and_the_worst_finding_of_each(full_run):
    text = markdown_report(full_run.report)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(full_run.report["variants"])
    for variant, row in zip(full_run.report["variants"], rows, strict=True):
        columns = ["-" if each is None else str(each) for each in variant["columns"].values()]
        assert [cell.strip() for cell in row.split("|")[2:11]] == columns
    found = sum(variant["worst_finding"] is not None for variant in full_run.report["variants"])
    assert text.count("<details>") == text.count("</details>") == found
    assert "    db.close()  # <- here" in text
    assert "SW101 session-leak (error)" in text
    assert "SW101 session leak" not in text  # it stands above, and is not told again
    assert len(text) < 65_536  # the longest comment that GitHub takes


def test_markdown_takes_no_text_for_markup(full_run):
    report = {**full_run.report, "variants": [dict(full_run.report["variants"][0])]}
    report["variants"][0]["verdict"] = "a | b\n# <img src=x>"
    report["variants"][0]["source"] = "'```'\n"
    text = markdown_report(report)
    assert "a \\| b \\# \\<img src=x\\>" in text
    assert "````python" in text


@pytest.fixture(scope="module")
def small(command, tmp_path_factory):
    """A small run that wrote a file and printed Markdown."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    finished = command(
        *("compare", "--variant=no-finally", "--scenario=unhandled", "--html", str(file)),
        *("--markdown", "--report", str(file.with_suffix(".json"))),
    )
    return finished, file


def test_the_command_writes_the_findings_for_ci_systems(small):
    _, file = small
    findings = json.loads(file.with_suffix(".json").read_text())["findings"]
    (leak,) = (each for each in findings if each["code"] == "SW101")
    assert leak["owner"] == "no-finally in unhandled"
    assert leak["file"].endswith("dependencies.py")


def test_the_command_writes_the_file_and_prints_markdown(small):
    finished, file = small
    assert finished.returncode == 0
    assert finished.stdout.startswith("### sessionwatch compare")
    assert f"the report is in {file}" in finished.stderr
    assert "no-finally-in-unhandled" in Reader(file.read_text()).ids


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "--markdown"], "give one"),
        (["--report", "/nowhere/at/all/report.xml"], "name a file in a folder that is there"),
        (["--html", "/nowhere/at/all/report.html"], "can't write in the folder /nowhere/at/all"),
    ],
)
def test_mistakes_are_one_line_and_found_before_the_run(command, arguments, said):
    finished = command("compare", *arguments)
    assert finished.returncode == 2
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert finished.stdout == ""


SECRET_PROJECT = """\
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

engine = create_engine("postgresql+psycopg://hush001:hush002@hush003/hush004?options=hush005")
SessionLocal = sessionmaker(engine)
SECRET = "hush006"


def get_db():
    db = SessionLocal()
    db.execute(text("SELECT :secret"), {"secret": SECRET})
    yield db
    db.execute(text(f"SELECT '{SECRET}'"))
    db.commit()
"""


def test_no_secret_of_the_users_is_in_a_report(command, tmp_path):
    pytest.importorskip("psycopg")
    (tmp_path / "project.py").write_text(SECRET_PROJECT)
    file = tmp_path / "report.html"
    chosen = ["--variant=yours", "--scenario=success", "--scenario=unhandled"]
    finished = command(
        "compare",
        "--get-db=project:get_db",
        "--markdown",
        f"--html={file}",
        f"--report={file.with_suffix('.json')}",
        *chosen,
        folder=str(tmp_path),
    )
    assert finished.returncode == 0, finished.stderr
    findings = file.with_suffix(".json").read_text()
    for text in (finished.stdout, finished.stderr, file.read_text(), findings):
        assert "hush" not in text
    assert "get_db" in Path(file).read_text()
