"""The report as text, at the widths that people have."""

import io

import pytest
from rich.console import Console

from sessionwatch.outlets.terminal import print_report


def text(report, width):
    printed = io.StringIO()
    print_report(report, Console(file=printed, width=width, highlight=False))
    return printed.getvalue()


def row(report, width, variant):
    """The numbers of a variant's row in the table."""
    lines = text(report, width).splitlines()
    start = next(i for i, line in enumerate(lines) if "opened" in line and "closed" in line)
    line = next(line for line in lines[start:] if line.startswith(variant))
    return [int(word) for word in line.split()[1:10]]


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal_and_no_heading_is_cut(full_run, width):
    printed = text(full_run.report, width)

    assert max(map(len, printed.splitlines())) <= width
    for heading in ("opened", "closed", "committed", "leaked", "commits", "writes", "refused"):
        assert heading in printed
    assert printed.count("…") == printed.count("opened … rolled back")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_has_the_numbers_of_the_report(full_run, width):
    for key in ("full", "close-only", "no-yield", "recommended"):
        assert row(full_run.report, width, key) == list(full_run.variant(key)["columns"].values())


def test_the_line_at_fault_is_marked_and_explained(full_run):
    printed = text(full_run.report, 100)

    assert "\n  → 4     db.close()" in printed
    assert "→ line 4: An exception leaves at the yield" in printed


def test_the_worst_finding_comes_with_its_fix(full_run):
    section = (
        text(full_run.report, 100).split("close-only: try and finally")[1].split("no-yield:")[0]
    )

    assert "Worst finding: SW203 lost writes (error, lost work) in success" in section
    assert "Fix: Commit before the session is closed" in section


def test_a_disagreement_is_said_in_so_many_words(full_run):
    words = "work half done: sessionwatch says no, the database says yes"
    found = {"variant": "full", "scenario": "success", "words": words}

    printed = text({**full_run.report, "disagreements": [found]}, 100)

    assert "No. 1 disagreement, each one a fault of sessionwatch itself:" in printed
    assert f"full, success\n    {words}" in "\n".join(
        line.rstrip() for line in printed.splitlines()
    )


def test_a_verdict_that_changed_is_said(full_run):
    changed = {"variant": "full", "scenario": "burst", "verdicts": [[], ["refused"]]}

    printed = text({**full_run.report, "unstable": [changed]}, 100)

    assert "full, burst: the verdict changed between rounds: nothing wrong; then refused" in printed


def test_fail_on_is_answered(full_run):
    met = {"asked": ["SW101"], "met": ["SW101"]}
    unmet = {"asked": ["SW501"], "met": []}

    assert "--fail-on SW101 is met: exit status 1." in text(
        {**full_run.report, "fail_on": met}, 100
    )
    assert "--fail-on SW501 is not met." in text({**full_run.report, "fail_on": unmet}, 100)
