"""Each cell of a real run against the facts that are known of each `get_db`."""

import pytest

NOTHING = ""
ERRORS = ("http-exception", "unhandled", "bad-response")
STATUS = {"success": 200, "http-exception": 400, "unhandled": 500, "bad-response": 500}

# What is called when the handler succeeds, when it fails, and when the commit fails.
CALLS = {
    "no-finally": ("close", NOTHING, "close"),
    "full": ("commit, close", "rollback, close", "commit, rollback, close"),
    "commit-unhandled": ("commit, close", NOTHING, "commit"),
    "close-only": ("close", "close", "close"),
    "rollback-no-finally": ("rollback, close", NOTHING, "rollback, close"),
    "no-yield": (NOTHING, NOTHING, NOTHING),
    "with-session": ("close", "close", "close"),
}
COMMITTING = ("full", "commit-unhandled")

# For those that commit around the application or the handler: what the client is told when the
# commit fails, whether the commit comes after the response, and what is kept in spite of an error.
AROUND = {
    "http-middleware": (500, False, {"http-exception"}),
    "middleware-commit": (200, True, {"http-exception"}),
    "scoped-session": (200, True, {"http-exception"}),
    "response-commit": (500, False, set()),
    "decorator": (500, False, {"bad-response"}),
}


def _out_when(calls: str) -> int:
    """A session that nobody closes keeps its connection."""
    return 0 if "close" in calls else 1


@pytest.mark.parametrize("variant", CALLS)
@pytest.mark.parametrize("scenario", ["success", *ERRORS, "commit-fails"])
def test_the_calls_and_the_connections_out(full_run, variant, scenario):
    calls = CALLS[variant][{"success": 0, "commit-fails": 2}.get(scenario, 1)]

    proven = full_run.proven(variant, scenario)

    assert proven["calls"] == [calls]
    assert proven["out_right_after"] == _out_when(calls)
    assert proven["out_after_collection"] == 0


@pytest.mark.parametrize("variant", CALLS)
@pytest.mark.parametrize("scenario", STATUS)
def test_the_status_that_the_client_is_told(full_run, variant, scenario):
    assert full_run.proven(variant, scenario)["status"] == STATUS[scenario]


@pytest.mark.parametrize("variant", CALLS)
def test_the_status_told_when_the_commit_fails(full_run, variant, commits_after_response):
    told_in_time = variant in COMMITTING and not commits_after_response

    proven = full_run.proven(variant, "commit-fails")

    assert proven["status"] == (500 if told_in_time else 200)
    assert not proven["kept"]


@pytest.mark.parametrize("variant", CALLS)
def test_a_success_is_kept_only_where_somebody_commits(full_run, variant):
    assert full_run.proven(variant, "success")["kept"] == (variant in COMMITTING)
    assert full_run.proven(variant, "handler-commits")["kept"]


@pytest.mark.parametrize("variant", CALLS)
def test_a_split_transfer_leaves_half_whatever_get_db_does(full_run, variant):
    assert full_run.proven(variant, "split-transfer")["half_done"]
    assert full_run.codes(variant, "split-transfer")["SW202"] == "error"


@pytest.mark.parametrize("variant", CALLS)
def test_a_swallowed_error_is_committed_by_a_dependency_that_commits(full_run, variant):
    half_done = variant in COMMITTING

    assert full_run.proven(variant, "swallowed-transfer")["half_done"] == half_done
    assert ("SW206" in full_run.codes(variant, "swallowed-transfer")) == half_done


@pytest.mark.parametrize("variant", AROUND)
def test_a_commit_around_it_fails_and_the_session_is_closed(full_run, variant):
    status, is_late, _ = AROUND[variant]
    cell = full_run.cell(variant, "commit-fails")

    assert cell["proven"]["status"] == status
    assert cell["proven"]["calls"] == ["commit, rollback, close"]
    assert cell["problems"] == (["acknowledged-lost"] if is_late else [])
    assert full_run.codes(variant, "commit-fails") == ({"SW301": "error"} if is_late else {})


@pytest.mark.parametrize("variant", AROUND)
def test_a_commit_around_it_succeeds(full_run, variant):
    _, is_late, _ = AROUND[variant]
    proven = full_run.proven(variant, "success")

    assert proven["calls"] == ["commit, close"]
    assert proven["late"] == is_late
    assert full_run.codes(variant, "success") == ({"SW301": "warning"} if is_late else {})


@pytest.mark.parametrize("variant", AROUND)
@pytest.mark.parametrize("scenario", ERRORS)
def test_some_keep_what_they_answer_an_error_to(full_run, variant, scenario):
    is_kept = scenario in AROUND[variant][2]
    cell = full_run.cell(variant, scenario)

    assert cell["proven"]["status"] == STATUS[scenario]
    assert cell["proven"]["calls"] == ["commit, close" if is_kept else "rollback, close"]
    assert cell["problems"] == (["kept"] if is_kept else [])
    assert bool(cell["findings"]) == is_kept


@pytest.mark.parametrize("variant", AROUND)
def test_sessionwatch_is_around_them_all(full_run, variant):
    """Their sessions belong to the request, whose route is known."""
    (finding,) = full_run.cell(variant, "split-transfer")["findings"]

    assert finding["message"].startswith("SW202 partial commit: POST /transfer/split ")


def test_only_a_commit_before_the_response_survives_every_scenario(full_run):
    verdicts = {each["key"]: each["verdict"] for each in full_run.report["variants"]}

    assert [key for key in verdicts if verdicts[key].startswith("sound")] == ["response-commit"]


def test_the_full_variant_acknowledges_a_write_that_is_lost(full_run, commits_after_response):
    codes = full_run.codes("full", "commit-fails")

    assert codes == ({"SW301": "error"} if commits_after_response else {})


def test_the_recommended_variant_tells_the_client_of_a_failed_commit(
    full_run, has_function_scope, commits_after_response
):
    told_in_time = has_function_scope or not commits_after_response

    assert full_run.proven("recommended", "commit-fails")["status"] == (
        500 if told_in_time else 200
    )


def test_a_commit_after_the_response_is_seen_and_proven(full_run, commits_after_response):
    cell = full_run.cell("full", "success")

    assert cell["proven"]["late"] == commits_after_response
    assert cell["recorded"]["late_commits"] == int(commits_after_response)


@pytest.mark.parametrize("variant", ["no-finally", "commit-unhandled", "no-yield"])
def test_a_leak_turns_away_requests_at_twice_the_pool(full_run, variant):
    burst = full_run.cell(variant, "burst")["burst"]

    assert burst["failing"] == 10
    assert burst["good_refused"] == burst["good"] == 5
    assert burst["recovery_seconds"] is not None
    assert full_run.codes(variant, "burst")["SW501"] == "error"


@pytest.mark.parametrize("variant", ["full", "close-only", "begin", *AROUND, "recommended"])
def test_a_burst_is_served_whole_where_every_session_is_closed(full_run, variant):
    cell = full_run.cell(variant, "burst")

    assert cell["burst"]["failing_refused"] == cell["burst"]["good_refused"] == 0
    assert "SW501" not in full_run.codes(variant, "burst")
