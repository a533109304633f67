"""The verdict on made-up testimonies: each difference is said, and agreement is silent."""

from dataclasses import replace

import pytest

from sessionwatch.lab.answers import BurstAnswer
from sessionwatch.lab.testimony import Proven, Recorded
from sessionwatch.lab.verdict import compare, problems_of

RECORDED = Recorded(
    opened=1,
    closed=1,
    committed=1,
    rolled_back=0,
    out_right_after=0,
    out_after_collection=0,
    leaked=0,
    leaked_writes=0,
    reclaimed=0,
    half_done=0,
    lost_writes=0,
    late_commits=0,
    late_commits_failed=0,
    pool_timeouts=0,
    internal_errors=0,
    failed_hooks=(),
)
PROVEN = Proven(
    status=200,
    opened=1,
    closed=1,
    calls=("commit, close",),
    out_right_after=0,
    out_after_collection=0,
    kept=True,
    half_done=False,
    audit_orphaned=False,
    lost=False,
    late=False,
    errors_after_success=(),
    pool_timeouts=0,
)
NOT_KEPT = replace(PROVEN, kept=False, lost=True)


def disagreements(recorded, proven, *, is_burst=False):
    return [
        each.subject for each in compare(recorded, proven, is_burst=is_burst) if not each.agrees
    ]


def test_two_testimonies_that_agree():
    assert disagreements(RECORDED, PROVEN) == []


@pytest.mark.parametrize(
    ("difference", "subject"),
    [
        ({"opened": 2}, "sessions opened"),
        ({"closed": 0}, "sessions closed"),
        ({"committed": 0}, "anything committed"),
        ({"out_right_after": 1}, "connections out right after"),
        ({"out_after_collection": 1}, "connections out after gc.collect()"),
        ({"leaked": 1}, "sessions leaked with a connection"),
        ({"reclaimed": 1}, "connections that only the GC returned"),
        ({"half_done": 1}, "work half done"),
        ({"lost_writes": 1}, "success told and the order not kept"),
        ({"late_commits": 1}, "committed after the response had started"),
        ({"pool_timeouts": 1}, "checkouts that timed out"),
        (
            {"internal_errors": 1, "failed_hooks": ("checkin",)},
            "errors inside sessionwatch (checkin)",
        ),
    ],
)
def test_each_difference_is_a_disagreement_of_its_own(difference, subject):
    assert disagreements(replace(RECORDED, **difference), PROVEN) == [subject]


def test_a_disagreement_is_said_in_so_many_words():
    comparisons = compare(replace(RECORDED, half_done=1), PROVEN, is_burst=False)

    (words,) = [each.words for each in comparisons if not each.agrees]
    assert words == "work half done: sessionwatch says yes, the database says no"


def test_a_failed_commit_that_nobody_reported():
    proven = replace(NOT_KEPT, errors_after_success=("IntegrityError",))

    assert disagreements(replace(RECORDED, committed=0), proven) == [
        "success told and the order not kept",
        "success told before a commit that failed",
    ]
    assert disagreements(replace(RECORDED, committed=0, late_commits_failed=1), proven) == []


@pytest.mark.parametrize(
    "account",
    [{"lost_writes": 1}, {"rolled_back": 1}, {"leaked_writes": 2}],
    ids=["it was closed without a commit", "it was rolled back", "its session leaked"],
)
def test_a_loss_that_the_watch_accounts_for(account):
    assert disagreements(replace(RECORDED, committed=0, **account), NOT_KEPT) == []


def test_a_loss_that_the_watch_does_not_account_for():
    assert disagreements(replace(RECORDED, committed=0), NOT_KEPT) == [
        "success told and the order not kept"
    ]


@pytest.mark.parametrize("half_done", [0, 1])
def test_an_audit_row_without_its_order_may_be_called_either(half_done):
    proven = replace(NOT_KEPT, kept=True, audit_orphaned=True)

    assert disagreements(replace(RECORDED, lost_writes=1, half_done=half_done), proven) == []
    assert problems_of(proven, None) == ("lost", "half-done")


@pytest.mark.parametrize("half_done", [0, 1])
def test_what_is_kept_of_a_request_that_failed_may_be_called_either(half_done):
    proven = replace(PROVEN, status=500)

    assert disagreements(replace(RECORDED, half_done=half_done), proven) == []


def test_a_rollback_is_no_accusation_where_the_order_was_kept():
    assert disagreements(replace(RECORDED, rolled_back=1), PROVEN) == []


def test_a_burst_is_not_asked_about_single_orders():
    assert disagreements(replace(RECORDED, committed=0, half_done=1), PROVEN, is_burst=True) == []


@pytest.mark.parametrize(
    ("difference", "problems"),
    [
        ({}, ()),
        ({"out_right_after": 1}, ("leak",)),
        ({"out_right_after": 1, "out_after_collection": 1}, ("pinned",)),
        ({"lost": True}, ("lost",)),
        ({"lost": True, "errors_after_success": ("IntegrityError",)}, ("acknowledged-lost",)),
        ({"half_done": True, "late": True}, ("half-done", "late")),
        ({"status": 400}, ("kept",)),
        ({"status": 400, "late": True}, ("kept",)),
        ({"status": 400, "half_done": True}, ("half-done",)),
        ({"status": 400, "kept": False}, ()),
    ],
)
def test_what_went_wrong_is_read_from_the_proof_alone(difference, problems):
    assert problems_of(replace(PROVEN, **difference), None) == problems


def test_refused_requests_are_a_problem_of_the_burst():
    served, refused = BurstAnswer(10, 0, 5, 0), BurstAnswer(10, 4, 5, 0)

    assert problems_of(PROVEN, served) == ()
    assert problems_of(PROVEN, refused) == ("refused",)
