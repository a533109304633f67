"""The page under schemathesis: whatever the schema allows or forbids, it is answered as described.

Where the oldest `rich` is installed there is no schemathesis, which needs a newer one.
"""

import pytest
from hypothesis import HealthCheck, given, settings

from sessionwatch import Settings

from .conftest import PATH, ask

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis needs rich 13.9.4")

checks = pytest.importorskip("schemathesis.specs.openapi.checks")

ACCEPTANCE = checks.positive_data_acceptance
TOKEN = "right-4711"
FUZZED = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def from_this_machine(app):
    """Have requests come from a loopback address, which those of schemathesis's client do not."""

    async def local(scope, receive, send):
        await app({**scope, "client": ("127.0.0.1", 5000)}, receive, send)

    return local


def fuzz(app, mode, **arguments):
    """Send what the schema says (or forbids) to each operation; return the statuses."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", from_this_machine(app))
    statuses = set()
    for found in schema.include(path=[PATH, f"{PATH}/owners/{{number}}"]).get_all_operations():
        operation = found.ok()

        @FUZZED
        @given(case=operation.as_strategy(schemathesis.GenerationMode(mode)))
        def send(case):
            response = case.call_and_validate(base_url="http://127.0.0.1", **arguments)
            statuses.add(response.status_code)
            if mode == "positive" and response.status_code == 422:
                assert [each["loc"] for each in response.json()["detail"]] == [["query", "route"]]

        send()
    return statuses


@pytest.fixture
def with_findings(app):
    ask(app, "/notes/7")
    ask(app, "/looks/7")
    return app


def test_what_the_schema_allows_is_answered(with_findings):
    """But for routes that none can be, such as a blank, for which the schema has no words."""
    statuses = fuzz(
        with_findings, "positive", excluded_checks=[schemathesis.checks.positive_data_acceptance]
    )
    assert 200 in statuses
    assert statuses <= {200, 404, 422}


def test_what_the_schema_forbids_is_refused(with_findings):
    statuses = fuzz(with_findings, "negative")
    assert 422 in statuses
    assert statuses <= {200, 404, 422}  # what it does not know of, such as `?x=1`, is passed over


@pytest.mark.parametrize("watch_settings", [Settings(token=TOKEN, log_findings=False)])
def test_with_the_token_it_is_answered(with_findings):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    statuses = fuzz(with_findings, "positive", headers=headers, excluded_checks=[ACCEPTANCE])
    assert 200 in statuses
    assert statuses <= {200, 404, 422}


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("watch_settings", [Settings(token=TOKEN, log_findings=False)])
def test_without_the_token_it_is_refused(with_findings, mode):
    assert fuzz(with_findings, mode) == {403}
