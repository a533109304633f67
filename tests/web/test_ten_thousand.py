"""With very many open sessions the page answers as quickly as it can be read."""

import json
import time

import pytest
from sqlalchemy.orm import Session

from sessionwatch.web.endpoint import _report
from sessionwatch.web.filters import Filters

MANY = 10_000


@pytest.fixture
def crowd(make_watch, engine):
    """A watch that follows very many open sessions, of a hundred jobs that are over."""
    watch = make_watch()
    held = []
    for _ in range(MANY // 100):
        with watch.owner("import"):
            held += [Session(engine) for _ in range(100)]
    yield watch
    del held


@pytest.mark.parametrize(
    "filters",
    [
        Filters(limit=50),
        Filters(limit=50, offset=MANY - 50),
        Filters(limit=50, sort="idle"),
        Filters(limit=50, route="import"),
    ],
    ids=["first page", "last page", "longest idle", "one route"],
)
def test_a_page_takes_less_than_fifty_milliseconds(crowd, filters):
    """The best of some tries, since other work makes them slower and nothing makes them faster."""
    taken = []
    for _ in range(9):
        began = time.process_time()
        report = json.loads(_report(crowd, filters))
        taken.append(time.process_time() - began)
    assert len(report["open_sessions"]) == 50
    assert report["matching"]["open_sessions"] == MANY
    assert min(taken) < 0.05


def test_every_session_is_on_one_page(crowd):
    ids = []
    for offset in range(0, MANY, 1000):
        report = json.loads(_report(crowd, Filters(limit=1000, offset=offset)))
        ids += [session["id"] for session in report["open_sessions"]]
    assert len(ids) == MANY
