"""`redact`: what each part keeps out of the log, the snapshot and the findings' texts."""

from __future__ import annotations

import gc
import io
import json
import logging
import time

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import sessionmaker

from sessionwatch import Settings

FILE = "test_redaction.py"
FOLDER = "tests/outlets"


@pytest.fixture
def written(make_watch, make_engine, tmp_path, monkeypatch, log):
    """Return what a watch with these settings logs and tells of a leak, a full pool and itself."""

    def run(**settings):
        folder = tmp_path / "folder-of-ada"
        folder.mkdir()
        (folder / "pyproject.toml").write_text('[tool.sessionwatch]\nignore = ["SW401"]\n')
        monkeypatch.chdir(folder)
        stream = io.StringIO()
        handler, logger = logging.StreamHandler(stream), logging.getLogger("sessionwatch")
        logger.addHandler(handler)
        try:
            watch = make_watch(
                Settings.load(idle_hold_seconds=1e-6, **settings), clock=time.perf_counter_ns
            )
            engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=0.01)
            misuse(watch, sessionmaker(engine))
            shown = watch.snapshot().to_dict()
            gc.collect()
            shown_at_last = watch.snapshot().to_dict()
            watch.stop()
        finally:
            logger.removeHandler(handler)
        return {"log": stream.getvalue(), "page": json.dumps([shown, shown_at_last])}, shown

    return run


def misuse(watch, make_session):
    leaked = None

    def open_session():
        session = make_session()
        session.execute(text("SELECT name FROM item WHERE name = 'ada'"))
        return session

    with watch.owner("first"):
        leaked = open_session()
    with watch.owner("second"), pytest.raises(Exception, match="QueuePool"):
        open_session()
    watch.inspect_connections()
    leaked.execute(select(1))
    leaked.execute(text("SELECT name FROM item WHERE name = 'ada'"))
    watch.inspect_connections()


def codes(report):
    return {finding["code"] for finding in report["findings"]}


def test_nothing_is_redacted_by_default_but_literals(written):
    texts, report = written()
    assert report["open_sessions"][0]["last_statement"] == "SELECT name FROM item WHERE name = ?"
    for text_ in texts.values():
        assert f"{FOLDER}/{FILE}:" in text_
        assert "ada'" not in text_
    assert "folder-of-ada/pyproject.toml" in texts["log"]
    assert "SW102 idle hold resolved: first opened at" in texts["log"]
    assert "test.db" in texts["page"]
    assert {"SW101", "SW102", "SW501"} <= codes(report)


def test_sql(written):
    texts, report = written(redact=["sql"])
    assert report["open_sessions"][0]["last_statement"] == "(redacted)"
    for text_ in texts.values():
        assert "SELECT" not in text_
        assert f"{FOLDER}/{FILE}:" in text_


def test_stacks(written):
    texts, report = written(redact=["stacks"])
    assert report["open_sessions"]
    for session in report["open_sessions"]:
        assert (session["opened_at"], session["stack"]) == (None, [])
    assert {"SW101", "SW102", "SW501"} <= codes(report)
    for text_ in texts.values():
        assert FILE not in text_
        assert "open_session:" not in text_
        assert "in misuse" not in text_
    assert "opened at" not in texts["log"]
    assert "SW101 session leak: first opened a session and never closed it" in texts["log"]


def test_paths(written):
    texts, report = written(redact=["paths"])
    assert report["open_sessions"][0]["opened_at"]["file"] == FILE
    assert [pool["name"] for pool in report["pools"]] == ["sqlite:///test.db"]
    for text_ in texts.values():
        assert f" at {FILE}:" in text_
        assert FOLDER not in text_
        assert "folder-of-ada" not in text_
    assert "ignore ([tool.sessionwatch] of pyproject.toml)" in texts["log"]


def test_all_of_them(written):
    texts, report = written(redact=("sql", "stacks", "paths"))
    assert report["settings"]["redact"] == ["sql", "stacks", "paths"]
    for text_ in texts.values():
        for part in ("SELECT", FILE, FOLDER, "folder-of-ada", "/test.db", "site-packages"):
            assert part not in text_.replace("sqlite:///test.db", "")


def test_a_failure_of_ours_tells_no_value(make_watch, log, expects_internal_errors):
    watch = make_watch()
    try:
        try:
            raise LookupError("secret of the application")
        except LookupError:
            raise ZeroDivisionError("secret of ours") from None
    except ZeroDivisionError as error:
        error.__context__.__suppress_context__ = False
        error.__suppress_context__ = False
        watch.hook_failed("some hook")
    text_ = log.text
    assert "ZeroDivisionError" in text_
    assert FILE in text_
    assert "secret of ours" not in text_.replace('raise ZeroDivisionError("secret of ours")', "")
    assert "secret of the application" not in text_


@pytest.mark.parametrize("part", ["stacks", "paths"])
def test_a_failure_of_ours_tells_no_line_where_lines_are_redacted(
    make_watch, log, expects_internal_errors, part
):
    watch = make_watch(Settings(redact=[part]))
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        watch.hook_failed("some hook")
    assert "ZeroDivisionError" in log.text
    assert FILE not in log.text


def test_watches_redact_each_for_itself(make_watch, read, make_session):
    """The newer one has the sessions, and both have the pool."""
    open_watch, closed_watch = make_watch(), make_watch(Settings(redact=["paths"]))
    with make_session() as session:
        session.execute(select(1))
        names = [read(each).pool["name"] for each in (closed_watch, open_watch, closed_watch)]
    assert names[0] == names[2] == "sqlite:///test.db"
    assert names[1].endswith("/test.db")
    assert names[1] != names[0]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [("sql,paths", ("sql", "paths")), (" Stacks ", ("stacks",)), ("", ())],
)
def test_redact_is_read_from_the_environment(monkeypatch, environment, expected):
    monkeypatch.setenv("SESSIONWATCH_REDACT", environment)
    assert Settings.load().redact == expected


def test_redact_is_read_from_pyproject(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.sessionwatch]\nredact = ["sql", "stacks"]\n')
    monkeypatch.chdir(tmp_path)
    assert Settings.load().redact == ("sql", "stacks")
