"""`sessionwatch explain`: one rule, all rules, and what is no rule."""

from __future__ import annotations

import dataclasses
import importlib
import json

import pytest
from rich.console import Console

from sessionwatch.cli import main
from sessionwatch.lint.catalog import LINT_CATALOG
from sessionwatch.outlets.terminal_explain import print_rule
from sessionwatch.rules.catalog import ALL_CODES, CATALOG, STATIC_CODES
from sessionwatch.rules.lookup import all_rules, one_line
from sessionwatch.rules.prelude import PRELUDE


@pytest.fixture
def explain(capsys, monkeypatch):
    """Run the command in this process; returns its exit status and what it printed."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["explain", *arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.mark.parametrize("code", CATALOG)
def test_a_rule_is_told_whole(explain, code):
    rule = CATALOG[code]
    status, out, err = explain(code)
    assert (status, err) == (0, "")
    said = " ".join(out.split())
    for text in (rule.name, rule.severity, rule.evidence, rule.cause, rule.fix, rule.fine):
        assert " ".join(text.split()) in said
    for source in (rule.broken, rule.correct, PRELUDE):
        for line in source.splitlines():
            assert f"  {line}".rstrip() in out.splitlines()
    for way in (f'ignore = ["{code}"]', f"SESSIONWATCH_IGNORE={code}", "per-route-ignores"):
        assert way in said


@pytest.mark.parametrize("columns", ["20", "80"])
def test_source_is_never_cut_and_no_line_ends_in_blanks(explain, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    lines = explain("SW301")[1].splitlines()
    assert f"  {CATALOG['SW301'].correct.splitlines()[7]}" in lines
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize(
    "spelling", ["SW301", "sw301", "commit-after-response", "Commit-After-Response"]
)
def test_codes_and_names_in_any_case(explain, spelling):
    assert explain(spelling) == explain("SW301")


@pytest.mark.parametrize(
    ("spelling", "right"),
    [
        ("SW310", "SW301"),
        ("sw10", "SW101"),
        ("commit_after_respone", "commit-after-response"),
        ("session-leek", "session-leak"),
        ("", "SW"),
    ],
)
def test_what_is_no_rule_is_told_the_nearest(explain, spelling, right):
    status, out, err = explain(spelling)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"sessionwatch: unknown rule {spelling!r}; did you mean {right}")


def test_the_list_has_a_line_for_each(explain):
    status, out, err = explain()
    assert (status, err) == (0, "")
    heading, *lines = out.splitlines()
    assert heading.split() == ["code", "name", "severity", "evidence", "it", "means"]
    assert [line.split()[:2] for line in lines] == [
        [code, rule.name] for code, rule in sorted(all_rules().items())
    ]
    for line, (_, rule) in zip(lines, sorted(all_rules().items()), strict=True):
        assert one_line(rule) in line


@pytest.mark.parametrize("spelling", ["SW6", "sw1", " SW3 "])
def test_a_family_is_listed(explain, spelling):
    status, out, err = explain(spelling)
    assert (status, err) == (0, "")
    codes = [code for code in sorted(ALL_CODES) if code.startswith(spelling.strip().upper())]
    assert [line.split()[0] for line in out.splitlines()] == ["code", *codes]
    assert [each["code"] for each in json.loads(explain(spelling, "--json")[1])] == codes


def test_one_rule_as_json(explain):
    plain = json.loads(explain("sw103", "--json")[1])
    rule = CATALOG["SW103"]
    for name in ("code", "name", "severity", "evidence", "cause", "fix", "fine", "broken"):
        assert plain[name] == getattr(rule, name)
    assert (plain["correct"], plain["prelude"]) == (rule.correct, PRELUDE)
    assert plain["ignore"]["environment"] == "SESSIONWATCH_IGNORE=SW103"


def test_the_list_as_json(explain):
    plain = json.loads(explain("--json")[1])
    assert [each["code"] for each in plain] == sorted(all_rules()) == sorted(ALL_CODES)
    assert all(each["means"] for each in plain)


@pytest.mark.parametrize("code", STATIC_CODES)
def test_a_static_rule_says_how_its_line_is_ignored(explain, code):
    status, out, _ = explain(code)
    said = " ".join(out.split())
    assert status == 0
    for text in (LINT_CATALOG[code].cause, LINT_CATALOG[code].fine):
        assert " ".join(text.split()) in said
    assert f"# sessionwatch: ignore[{code}]" in said
    assert "per-route-ignores" not in said


@pytest.mark.parametrize("code", ALL_CODES)
def test_a_module_begins_with_what_its_rule_means(code):
    rule = all_rules()[code]
    package = "lint.rules" if code in STATIC_CODES else "rules"
    documentation = importlib.import_module(f"sessionwatch.{package}.{code.lower()}").__doc__
    assert documentation.startswith(f"{code} {rule.name}: {one_line(rule)}")
    assert one_line(rule).endswith(".")


def test_colours_are_for_a_terminal(explain):
    assert "\x1b" not in explain("SW101")[1]
    console = Console(force_terminal=True, color_system="standard", width=100)
    with console.capture() as captured:
        print_rule(CATALOG["SW101"], console)
    assert "\x1b[94m" in captured.get()


def test_a_rule_that_is_off_says_how_to_turn_it_on(explain):
    assert "extend-select" not in explain("SW101")[1]
    console = Console(width=100)
    with console.capture() as captured:
        print_rule(dataclasses.replace(CATALOG["SW101"], opt_in=True), console)
    assert 'off until it is named: extend-select = ["SW101"]' in captured.get()
