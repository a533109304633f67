"""One variant over all its scenarios, from made-up cells."""

import pytest

from sessionwatch.lab.answers import BurstAnswer
from sessionwatch.lab.measure import CellResult
from sessionwatch.lab.summary import columns_of, is_at_fault, verdict_of, worst_finding


class Plain:
    """A testimony of which only some numbers matter."""

    def __init__(self, **numbers):
        self.__dict__.update(numbers)


def cell(scenario, *problems, findings=(), burst=None, out=0):
    return CellResult(
        variant="full",
        scenario=scenario,
        recorded=Plain(opened=1, closed=1, committed=1, rolled_back=0),
        proven=Plain(out_right_after=out),
        burst=burst,
        comparisons=[],
        findings=list(findings),
        problems=problems,
        timeline=None,
    )


def finding(code, severity="error", evidence="proof"):
    return {"code": code, "severity": severity, "evidence": evidence}


def test_the_columns_add_up_the_single_requests_and_keep_the_burst_apart():
    cells = [
        cell("success", "lost"),
        cell("unhandled", "leak", out=1),
        cell("commit-fails", "acknowledged-lost"),
        cell("burst", "leak", "refused", burst=BurstAnswer(10, 9, 5, 4), out=5),
    ]

    columns = columns_of(cells)

    assert (columns.opened, columns.closed, columns.committed) == (3, 3, 3)
    assert (columns.leaked, columns.lost_writes, columns.acknowledged_but_lost) == (1, 1, 1)
    assert columns.refused == 13


def test_what_was_not_measured_has_no_number():
    assert columns_of([cell("success")]).refused is None
    assert columns_of([cell("burst", burst=BurstAnswer(10, 0, 5, 0))]).opened is None


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ([cell("success", "late")], "sound"),
        ([cell("stream", "leak"), cell("success")], "leaks in stream"),
        (
            [cell("split-transfer", "half-done")],
            "sound, but for what the handler itself leaves half-done",
        ),
        (
            [cell("commit-fails", "acknowledged-lost"), cell("success", "lost")],
            "says 200 before a commit that fails, loses accepted work in success",
        ),
        (
            [cell("http-exception", "kept"), cell("swallowed-transfer", "kept")],
            "answers an error and keeps the work in http-exception",
        ),
        (
            [cell(each, "leak") for each in ("unhandled", "success", "stream")],
            "leaks in 3 of 3 scenarios",
        ),
    ],
)
def test_the_verdict_in_words(cells, verdict):
    assert verdict_of(cells) == verdict


def test_the_worst_finding_is_the_variants_own_before_the_handlers():
    cells = [
        cell("split-transfer", findings=[finding("SW202")]),
        cell("commit-fails", findings=[finding("SW301", evidence="lost work")]),
        cell("success", findings=[finding("SW301", "warning", "suspect")]),
    ]

    worst = worst_finding(cells)

    assert (worst["code"], worst["severity"]) == ("SW301", "error")
    assert worst["scenarios"] == ["commit-fails"]


def test_of_two_as_grave_the_one_seen_more_often():
    cells = [
        cell("burst", findings=[finding("SW501"), finding("SW101")]),
        cell("unhandled", findings=[finding("SW101")]),
    ]

    assert worst_finding(cells)["code"] == "SW101"
    assert worst_finding([cell("success")]) is None


def test_a_line_is_at_fault_only_when_it_was_seen_to_be():
    assert is_at_fault([cell("success", "late")])
    assert not is_at_fault([cell("split-transfer", "half-done"), cell("stream", "leak")])
