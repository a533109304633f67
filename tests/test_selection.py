"""Which findings are reported, which are not, and which ignore entries did nothing."""

from __future__ import annotations

import dataclasses
import gc
import json
import logging

import pytest
from sqlalchemy import select

from sessionwatch import SessionWatch, Settings
from sessionwatch.rules.catalog import CATALOG
from sessionwatch.selection import Selection

ONE = select(1)
LABEL = "GET /items/{id}"


@pytest.fixture
def leak(make_session):
    """Leak a session in an owner of that name; returns the session."""

    def leak(watch, name="job"):
        with watch.owner(name):
            session = make_session()
            session.execute(ONE)
        return session

    return leak


@pytest.fixture
def warnings(log):
    """The warnings that were logged about ignores."""

    def warnings():
        return [each.message for each in log.records if "ignores" in each.message]

    return warnings


class TestReports:
    @pytest.mark.parametrize(
        ("settings", "reported"),
        [
            ({}, True),
            ({"select": ["SW1"]}, True),
            ({"select": ["SW101"]}, True),
            ({"select": ["SW103"]}, False),
            ({"select": []}, False),
            ({"select": [], "extend_select": ["SW1"]}, True),
            ({"select": ["SW2"], "extend_select": ["SW101"]}, True),
            ({"ignore": ["SW101"]}, False),
            ({"ignore": ["SW1"]}, False),
            ({"ignore": ["SW"]}, False),
            ({"ignore": ["SW103", "SW2"]}, True),
            ({"ignore": ["SW1"], "extend_select": ["SW101"]}, True),
            ({"ignore": ["SW1"], "extend_select": ["SW1"]}, False),
            ({"ignore": ["SW101"], "extend_select": ["SW101"]}, False),
            ({"select": ["SW1"], "ignore": ["SW101"]}, False),
            ({"per_route_ignores": {LABEL: ["SW101"]}}, False),
            ({"per_route_ignores": {LABEL: ["SW1"]}, "extend_select": ["SW101"]}, False),
            ({"per_route_ignores": {LABEL: ["SW2"]}}, True),
            ({"per_route_ignores": {"POST /items": ["SW1"], "GET *": ["SW101"]}}, False),
        ],
    )
    def test_longer_entry_decides(self, settings, reported):
        assert Selection(Settings(**settings)).reports("SW101", LABEL) is reported

    @pytest.mark.parametrize(
        ("pattern", "label", "fits"),
        [
            ("GET /items/{id}", "GET /items/{id}", True),
            ("GET /items/{id}", "GET /items/7", False),
            ("GET /items/{id}", "GET /items/{id}/parts", False),
            ("GET /items/*", "GET /items/{id}/parts", True),
            ("* /items/{id}", "DELETE /items/{id}", True),
            ("GET /items/{i?}", "GET /items/{id}", True),
            ("get /items", "GET /items", False),
            ("import[ab]", "import[ab]", True),
            ("import[ab]", "importa", False),
            ("import[!a]", "importb", False),
            ("import[", "import[", True),
            ("import[*]", "import[7]", True),
            ("import]", "import]", True),
            ("/a.b", "/aXb", False),
            ("/a+(b|c)\\d", "/a+(b|c)\\d", True),
            ("job *", "job\nof two lines", False),
            ("job?*", "job\nof two lines", True),
        ],
    )
    def test_only_asterisk_and_question_mark_are_wild(self, pattern, label, fits):
        selection = Selection(Settings(per_route_ignores={pattern: ["SW101"]}))
        assert selection.reports("SW101", label) is not fits

    @pytest.mark.parametrize(
        ("settings", "reported"),
        [
            ({}, False),
            ({"extend_select": ["SW10"]}, False),
            ({"extend_select": ["SW101"]}, True),
            ({"select": ["SW101"]}, True),
            ({"select": ["SW101"], "ignore": ["SW101"]}, False),
        ],
    )
    def test_rule_that_is_off_needs_its_whole_code(self, monkeypatch, settings, reported):
        rule = dataclasses.replace(CATALOG["SW101"], opt_in=True)
        monkeypatch.setitem(CATALOG, "SW101", rule)
        assert Selection(Settings(**settings)).reports("SW101", LABEL) is reported


class TestUnusedIgnores:
    def test_all_that_match_are_used(self):
        selection = Selection(
            Settings(
                ignore=["SW101", "SW1", "SW2"],
                per_route_ignores={"GET *": ["SW1", "SW3"], "POST *": ["SW101"]},
            )
        )
        everything = ["SW101", "SW1", "SW2", "GET *=SW1", "GET *=SW3", "POST *=SW101"]
        assert selection.unused_ignores() == everything
        assert not selection.reports("SW101", LABEL)
        assert selection.unused_ignores() == ["SW2", "GET *=SW3", "POST *=SW101"]

    def test_entry_that_gives_way_is_not_used(self):
        selection = Selection(Settings(ignore=["SW1"], extend_select=["SW101"]))
        assert selection.reports("SW101", LABEL)
        assert selection.unused_ignores() == ["SW1"]

    def test_what_is_not_selected_uses_no_entry(self):
        selection = Selection(Settings(select=["SW2"], ignore=["SW101"]))
        assert not selection.reports("SW101", LABEL)
        assert selection.unused_ignores() == ["SW101"]

    def test_entries_are_given_once(self):
        assert Selection(Settings(ignore=["SW1", "SW1"])).unused_ignores() == ["SW1"]


class TestWatch:
    def test_ignored_finding_is_neither_kept_nor_logged(self, make_watch, read, leak, log):
        watch = make_watch(Settings(ignore=["SW101"]))
        session = leak(watch)
        assert read(watch).codes == []
        assert log.records == []
        assert watch.unused_ignores() == []
        session.close()
        assert read(watch).codes == []

    def test_ignored_leak_does_not_come_back_as_another_finding(self, make_watch, read, leak):
        """The garbage collector takes what SW101 would have named, and SW103 is not ignored."""
        watch = make_watch(Settings(ignore=["SW101"]))
        leak(watch)
        gc.collect()
        assert read(watch).codes == []

    def test_ignored_connection_does_not_come_back_either(self, make_watch, read, engine):
        watch = make_watch(Settings(ignore=["SW101"]))
        connections = []
        with watch.owner("job"):
            connections.append(engine.connect())
        connections.clear()
        gc.collect()
        assert read(watch).codes == []

    def test_leak_that_is_not_ignored_is_noted_when_it_returns(self, make_watch, read, leak):
        watch = make_watch(Settings(ignore=["SW103"]))
        session = leak(watch)
        session.close()
        assert read(watch).only_finding("SW101")["details"]["returned_later"] == 1

    def test_route_is_what_the_owner_is_called(self, make_watch, read, leak):
        watch = make_watch(Settings(per_route_ignores={"import *": ["SW1"]}))
        sessions = [leak(watch, name) for name in ("import 7", "export 7")]
        assert read(watch).only_finding("SW101")["owner"]["name"] == "export 7"
        for session in sessions:
            session.close()

    def test_template_of_a_request(self, make_watch, read, call, make_session):
        from fastapi import FastAPI

        import sessionwatch

        watch = make_watch(Settings(per_route_ignores={"GET /items/{number}": ["SW101"]}))
        app = FastAPI()
        leaked = []

        @app.get("/items/{number}")
        @app.get("/parts/{number}")
        def look(number: int):
            leaked.append(make_session())
            leaked[-1].execute(ONE)

        app.add_middleware(sessionwatch.SessionWatchMiddleware, watch=watch)
        for path in ("/items/7", "/parts/7"):
            assert call(app, path).status_code == 200
        assert read(watch).only_finding("SW101")["owner"]["name"] == "GET /parts/{number}"
        assert watch.unused_ignores() == []
        for session in leaked:
            session.close()

    def test_last_stop_names_what_was_of_no_use(self, leak, warnings):
        watch = SessionWatch(
            Settings(ignore=["SW101", "SW2"], per_route_ignores={"GET /a": ["SW301", "SW5"]})
        )
        watch.start().start()
        leak(watch).close()
        watch.stop()
        assert warnings() == []
        watch.stop()
        assert warnings() == [
            "these ignores matched no finding: remove SW2 from ignore (keyword of Settings); "
            "GET /a=SW301, GET /a=SW5 from per_route_ignores (keyword of Settings)"
        ]
        watch.start().stop()
        assert len(warnings()) == 1

    def test_what_the_last_stop_still_judges_counts(self, make_session, warnings):
        """A session of the process, which only the garbage collector ends."""
        with SessionWatch(Settings(ignore=["SW103"])) as watch:
            make_session().execute(ONE).close()
            gc.collect()
        assert watch.unused_ignores() == []
        assert warnings() == []

    def test_warning_names_the_file(self, tmp_path, monkeypatch, warnings, log):
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "pyproject.toml"
        path.write_text('[tool.sessionwatch]\nignore = ["SW2"]')
        SessionWatch().start().stop()
        (record,) = log.records
        assert record.levelno == logging.WARNING
        assert f"remove SW2 from ignore ([tool.sessionwatch] of {path})" in record.message

    def test_silent_when_all_were_of_use_or_there_are_none(self, leak, log):
        SessionWatch(Settings()).start().stop()
        with SessionWatch(Settings(ignore=["SW101"])) as watch:
            leak(watch).close()
        assert log.records == []

    def test_it_can_be_told_before_the_stop(self, make_watch, warnings):
        watch = make_watch(Settings(ignore=["SW101"]))
        watch.report_unused_ignores()
        assert len(warnings()) == 1
        watch.stop()
        assert len(warnings()) == 1

    def test_snapshot_carries_them(self, make_watch, leak):
        watch = make_watch(Settings(ignore=["SW101", "SW2"]))
        leak(watch).close()
        plain = watch.snapshot().to_dict()
        assert plain["unused_ignores"] == ["SW2"]
        assert json.loads(json.dumps(plain)) == plain
