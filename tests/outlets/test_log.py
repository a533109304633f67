"""Findings in the log: enough by themselves, and not more often than needed."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import select

from sessionwatch import Settings

ONE = select(1)


@pytest.mark.parametrize(("statements", "level"), [(0, logging.INFO), (1, logging.ERROR)])
def test_finding_is_logged_at_its_severity(watch, make_session, log, statements, level):
    with watch.owner("job"):
        session = make_session()
        for _ in range(statements):
            session.execute(ONE)
    session.close()
    assert [record.levelno for record in log.records] == [level]


def test_nothing_is_logged_when_logging_is_off(make_watch, read, make_session, log):
    watch = make_watch(Settings(log_findings=False))
    with watch.owner("job"):
        session = make_session()
        session.execute(ONE)
    session.close()
    assert read(watch).codes == ["SW101"]
    assert log.records == []


def test_log_tells_the_tenth_and_the_hundredth(watch, seen, make_session, log):
    sessions = []
    for _ in range(120):
        with watch.owner("job"):
            sessions.append(make_session())
    for session in sessions:
        session.close()
    first_lines = [record.getMessage().splitlines()[0] for record in log.records]
    assert [line.rpartition("(")[2] for line in first_lines[1:]] == [
        "seen 10 times)",
        "seen 100 times)",
    ]
    assert len(first_lines) == 3
    assert seen.codes == ["SW107"] * 120


def test_log_message_is_enough_by_itself(watch, make_session, log):
    with watch.owner("job"):
        session = make_session()
        session.execute(ONE)
    session.close()
    (record,) = log.records
    first, *rest = record.getMessage().splitlines()
    assert first.startswith(
        "SW101 session leak: job opened a session at tests/outlets/test_log.py:"
    )
    assert first.endswith("; 1 connection of the pool is still out (1 of 5 in use)")
    assert rest[0] == "  opened at"
    assert "tests/outlets/test_log.py" in rest[1]
    assert rest[-1].startswith("  fix: Close the session")
