"""The five questions, answered from a real run."""

import pytest


@pytest.fixture
def questions(full_run):
    return {question["number"]: question for question in full_run.report["quiz"]}


def evidence(question):
    return " ".join(question["evidence"])


def test_there_are_five_and_all_were_measured(questions):
    assert list(questions) == [1, 2, 3, 4, 5]
    assert all(question["verdict"] != "not measured" for question in questions.values())


def test_a_get_db_closes_only_as_well_as_it_is_written(questions):
    assert questions[1]["verdict"] == "holds, with a limit"
    assert "no-yield 1 of 12" in evidence(questions[1])


def test_only_depends_on_the_function_gives_a_session_that_is_closed(questions):
    assert questions[2]["verdict"] == "holds"
    assert "C, db: Session = get_db(): FastAPI refuses to declare the route" in evidence(
        questions[2]
    )
    assert "answered 200, 1 opened and 1 closed" in questions[2]["evidence"][3]


def test_the_route_lists_what_the_database_holds(questions):
    assert questions[3]["verdict"] == "holds"


def test_without_finally_an_exception_leaves_the_session_open(questions):
    assert questions[4]["verdict"] == "holds"
    for scenario in ("http-exception", "unhandled", "bad-response"):
        assert f"{scenario}: 0 of 1 closed, 1 connection out right after, 0 after" in evidence(
            questions[4]
        )


def test_the_best_of_four_still_loses_work(questions, commits_after_response):
    said = evidence(questions[5])

    assert questions[5]["verdict"] == "holds, with a limit"
    told = "in commit-fails, the client is told success, then the commit fails" in said
    assert told == commits_after_response


def test_the_function_scope_is_measured_beside_it(
    questions, commits_after_response, has_function_scope
):
    full = 200 if commits_after_response else 500
    recommended = 500 if has_function_scope else full

    assert (
        f"the client of A is told {full}, the client of the recommended variant {recommended}"
        in evidence(questions[5])
    )
