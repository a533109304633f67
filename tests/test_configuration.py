"""Where settings come from: pyproject.toml, the environment, keywords, in this order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

import sessionwatch
from sessionwatch import SessionWatch, Settings
from sessionwatch.setting_values import SettingsError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for variable in list(os.environ):
        if variable.startswith("SESSIONWATCH_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write a pyproject.toml into an otherwise empty working directory; returns its path."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pyproject.toml"
    path.write_text("")

    def write(text, path=path):
        path.write_text(text)
        return path

    return write


@pytest.fixture
def refused(project):
    """What `Settings.load` says no to, in one line."""

    def load(**overrides):
        with pytest.raises(SettingsError) as caught:
            Settings.load(**overrides)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return load


class TestProject:
    def test_dashes_and_underscores(self, project):
        project("""
            [tool.sessionwatch]
            stacks = "full"
            log-findings = false
            idle-hold-seconds = 3
            stream_hold_seconds = "off"
            max-findings = 7
            extend-select = ["SW3"]
            ignore = ["SW107"]

            [tool.sessionwatch.per-route-ignores]
            "GET /items/{id}" = ["SW201", "SW301"]
        """)
        assert Settings.load() == Settings(
            stacks="full",
            log_findings=False,
            idle_hold_seconds=3.0,
            stream_hold_seconds=None,
            max_findings=7,
            extend_select=("SW3",),
            ignore=("SW107",),
            per_route_ignores={"GET /items/{id}": ("SW201", "SW301")},
        )

    @pytest.mark.parametrize("text", ["", "[tool.ruff]\nline-length = 9", "tool = 3"])
    def test_file_that_says_nothing_of_it(self, project, text):
        project(text)
        assert Settings.load() == Settings()

    def test_nearest_file_upward_is_the_one(self, project, tmp_path, monkeypatch):
        project('[tool.sessionwatch]\nstacks = "off"')
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        monkeypatch.chdir(inner)
        assert Settings.load().stacks == "off"
        project("[tool.sessionwatch]\nmax-routes = 9", tmp_path / "a" / "pyproject.toml")
        assert (Settings.load().stacks, Settings.load().max_routes) == ("caller", 9)

    def test_working_directory_that_is_gone(self, tmp_path, monkeypatch):
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        try:
            assert Settings.load() == Settings()
        finally:
            os.chdir(tmp_path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "ignores = []",
                "unknown setting 'ignores'; did you mean 'ignore'? ([tool.sessionwatch] of ",
            ),
            (
                "idle-hold-second = 3",
                "unknown setting 'idle_hold_second'; did you mean 'idle_hold_seconds'? (",
            ),
            ("sources = {}", "unknown setting 'sources'; did you mean "),
            ('ignore = "SW101"', "ignore is 'SW101'; use a list of codes ([tool.sessionwatch] of "),
            ('ignore = ["SW110"]', "ignore has the unknown code 'SW110'; did you mean 'SW101'? (["),
            ("max-routes = 1.5", "max_routes is 1.5; use a whole number from 1 up (["),
            (
                "max-routes = 1\nmax_routes = 2",
                "'max_routes' is there twice, with dashes and with unders",
            ),
            ("per-route-ignores = 3", "per_route_ignores is 3; use a table of codes by route (["),
        ],
    )
    def test_mistake_names_the_file(self, project, refused, text, message):
        path = project(f"[tool.sessionwatch]\n{text}\n")
        assert refused().startswith(message)
        assert refused().endswith(f"([tool.sessionwatch] of {path})")

    @pytest.mark.parametrize("text", ["[tool.sessionwatch", "[tool]\nsessionwatch = 3", "\xff"])
    def test_file_that_is_no_such_thing(self, project, refused, tmp_path, text):
        (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
        assert str(tmp_path / "pyproject.toml") in refused()

    def test_install_and_a_watch_read_it(self, project):
        project("[tool.sessionwatch]\nmax-routes = 9")
        assert SessionWatch().settings.max_routes == 9
        watch = sessionwatch.install(FastAPI())
        watch.stop()
        assert watch.settings.max_routes == 9
        assert SessionWatch(Settings()).settings.max_routes == 500

    def test_settings_alone_read_nothing(self, project):
        project("[tool.sessionwatch]\nmax-routes = 9")
        assert Settings().max_routes == 500


class TestEnvironment:
    @pytest.mark.parametrize(
        ("variable", "text", "name", "value"),
        [
            ("STACKS", "full", "stacks", "full"),
            ("LOG_FINDINGS", "false", "log_findings", False),
            ("LOG_FINDINGS", "1", "log_findings", True),
            ("LOG_FINDINGS", "True", "log_findings", True),
            ("TOKEN", "none", "token", "none"),
            ("IGNORE", "SW201,SW107", "ignore", ("SW201", "SW107")),
            ("IGNORE", " sw2 , ", "ignore", ("SW2",)),
            ("SELECT", "SW1", "select", ("SW1",)),
            ("IDLE_HOLD_SECONDS", "2.5", "idle_hold_seconds", 2.5),
            ("IDLE_HOLD_SECONDS", "off", "idle_hold_seconds", None),
            ("LOOP_BLOCKED_SECONDS", "None", "loop_blocked_seconds", None),
            ("CHILD_TASK_GRACE_SECONDS", "0", "child_task_grace_seconds", 0.0),
            ("MAX_FINDINGS", "12", "max_findings", 12),
            (
                "PER_ROUTE_IGNORES",
                "GET /a=SW201,SW202; POST /b=SW301; GET /a=SW107;",
                "per_route_ignores",
                {"GET /a": ("SW201", "SW202", "SW107"), "POST /b": ("SW301",)},
            ),
            ("PER_ROUTE_IGNORES", "job a=b=SW1", "per_route_ignores", {"job a=b": ("SW1",)}),
        ],
    )
    def test_value_is_read(self, project, monkeypatch, variable, text, name, value):
        monkeypatch.setenv(f"SESSIONWATCH_{variable}", text)
        assert getattr(Settings.load(), name) == value
        assert getattr(Settings(), name) != value or value is True

    @pytest.mark.parametrize(
        ("variable", "text", "message"),
        [
            ("STACK", "full", "unknown setting 'stack'; did you mean 'stacks'?"),
            ("STACKS", "all", "stacks is 'all'; use one of off, caller, full"),
            ("LOG_FINDINGS", "yes", "log_findings is 'yes'; use true or false"),
            ("TOKEN", "", "token is empty; leave it out, or give it a value"),
            (
                "IGNORE",
                "SW201 SW107",
                "ignore has the unknown code 'SW201 SW107'; did you mean 'SW",
            ),
            ("IDLE_HOLD_SECONDS", "soon", "idle_hold_seconds is 'soon'; use a number of seconds"),
            ("IDLE_HOLD_SECONDS", "nan", "idle_hold_seconds is nan; use a number of seconds"),
            ("MAX_FINDINGS", "-1", "max_findings is '-1'; use a whole number from 1 up"),
            ("PER_ROUTE_IGNORES", "GET /a", "per_route_ignores has 'GET /a'; write 'GET /a=SW201"),
            ("PER_ROUTE_IGNORES", "GET /a=SW9", "per_route_ignores['GET /a'] has the unknown code"),
        ],
    )
    def test_mistake_names_the_variable(self, refused, monkeypatch, variable, text, message):
        monkeypatch.setenv(f"SESSIONWATCH_{variable}", text)
        assert refused().startswith(message)
        assert refused().endswith(f"(environment variable SESSIONWATCH_{variable})")


class TestOrder:
    def test_environment_goes_before_the_file_and_keywords_before_both(self, project, monkeypatch):
        path = project('[tool.sessionwatch]\nstacks = "off"\nmax-routes = 1\nignore = ["SW101"]')
        monkeypatch.setenv("SESSIONWATCH_MAX_ROUTES", "2")
        monkeypatch.setenv("SESSIONWATCH_IGNORE", "SW2")
        settings = Settings.load(ignore=["SW3"])
        assert (settings.stacks, settings.max_routes, settings.ignore) == ("off", 2, ("SW3",))
        assert settings.sources == {
            "stacks": f"[tool.sessionwatch] of {path}",
            "max_routes": "environment variable SESSIONWATCH_MAX_ROUTES",
            "ignore": "keyword of Settings",
        }

    def test_keyword_that_is_wrong(self, refused):
        assert refused(stack="full") == (
            "unknown setting 'stack'; did you mean 'stacks'? (keyword of Settings)"
        )
        assert refused(ignore=["SW9"]).endswith("(keyword of Settings)")

    def test_empty_variable_takes_back_what_the_file_says(self, project, monkeypatch):
        project('[tool.sessionwatch]\nignore = ["SW101"]')
        monkeypatch.setenv("SESSIONWATCH_IGNORE", "")
        assert Settings.load().ignore == ()

    def test_a_mistake_that_is_replaced_is_a_mistake(self, project, refused):
        project('[tool.sessionwatch]\nstacks = "all"')
        assert "stacks is 'all'" in refused(stacks="full")


def test_no_toml_is_imported_without_a_file(tmp_path):
    program = (
        "import sys; from sessionwatch import Settings; "
        "print('tomllib' in sys.modules); Settings.load(); print('tomllib' in sys.modules)"
    )
    if any((folder / "pyproject.toml").exists() for folder in tmp_path.parents):
        pytest.skip("a folder above the temporary one has a pyproject.toml")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(sessionwatch.__file__).parents[1])},
    )
    assert done.stdout.split() == ["False", "False"]
