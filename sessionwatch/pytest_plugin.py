"""The pytest plugin: off until asked for, and then it fails the test that leaks.

This module is imported by every run of pytest, so it imports the rest only when it is asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sessionwatch.testing.handle import TestHandle

_handles = pytest.StashKey["TestHandle"]()
_SET_UP = "sessionwatch-set-up"
_OURS = "sessionwatch."
_LISTS = "codes, or what they begin with, with commas between"


class _Level(argparse.Action):
    """Stores what is spelt as a part of the option, so that a mistake is told all spellings."""

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        _, _, level = (option_string or "").partition("=")
        setattr(namespace, self.dest, level or "error")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; `--sessionwatch` takes no value but its own, as a path may follow."""
    group = parser.getgroup("sessionwatch", "sessionwatch: tests that leak database sessions")
    group.addoption(
        "--sessionwatch",
        *(f"--sessionwatch={level}" for level in ("error", "warn", "off")),
        action=_Level,
        nargs=0,
        help="fail each test that leaks a SQLAlchemy session, with the line that opened it "
        "(error), tell of leaks in the summary alone (warn), or do nothing, whatever a file says "
        "(off)",
    )
    group.addoption("--sessionwatch-select", metavar="CODES", help=f"report these: {_LISTS}")
    group.addoption("--sessionwatch-ignore", metavar="CODES", help=f"leave these out: {_LISTS}")
    group.addoption(
        "--sessionwatch-report",
        metavar="PATH",
        help="write the findings as .json, .sarif, .xml (JUnit) or .md; `github` annotates",
    )
    group.addoption(
        "--sessionwatch-baseline", metavar="FILE", help="tolerate the findings that FILE knows"
    )
    group.addoption(
        "--sessionwatch-write-baseline",
        action="store_true",
        help="write what is found now into that file, and fail for none of it",
    )
    parser.addini("sessionwatch", "off, warn or error", default="")
    for name in ("select", "ignore", "report", "baseline"):
        parser.addini(f"sessionwatch_{name}", f"as --sessionwatch-{name}", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and begin if asked for; raise `UsageError` for what is wrong."""
    config.addinivalue_line(
        "markers", "sessionwatch(allow=[...]): codes that are meant in this test, such as SW101"
    )
    if not _may_be_asked_for(config):
        _require_nothing_else(config)
        return
    _import_as_it_is(config)
    from sessionwatch.testing.options import OFF, Options
    from sessionwatch.testing.run import Run

    try:
        options = Options(config)
        if options.level == OFF:
            _require_nothing_else(config)
        else:
            config.pluginmanager.register(Run(config, options), "sessionwatch-run")
    except ValueError as error:
        raise pytest.UsageError(f"sessionwatch: {error}") from None


def _require_nothing_else(config: pytest.Config) -> None:
    """Raise `UsageError` for an option that does nothing, as nobody asked for the plugin."""
    for name in ("select", "ignore", "report", "baseline", "write_baseline"):
        if config.getoption(f"sessionwatch_{name}") and not config.getoption("sessionwatch"):
            option = f"--sessionwatch-{name.replace('_', '-')}"
            raise pytest.UsageError(f"sessionwatch: {option} needs --sessionwatch, too")


class _AsItIs(MetaPathFinder):
    """Finds the modules of sessionwatch before pytest does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find them as Python does without pytest."""
        return PathFinder.find_spec(fullname, path) if fullname.startswith(_OURS) else None


def _import_as_it_is(config: pytest.Config) -> None:
    """Have pytest rewrite no `assert` of ours, as it would in every module of a plugin's package.

    It parses each again in every run that has no cache of it, and none of ours is a test
    (`_mark_plugins_for_rewrite` in _pytest/config/__init__.py, pytest 8.3 to 9.2). The finder goes
    with the run: Python keeps `sys.meta_path` to its very end, and with it all that a finder's
    module refers to, which the last collections of garbage would look through once more.
    """
    if any(isinstance(finder, _AsItIs) for finder in sys.meta_path):
        return
    finder = _AsItIs()
    sys.meta_path.insert(0, finder)
    config.add_cleanup(lambda: _forget(finder))


def _forget(finder: MetaPathFinder) -> None:
    if finder in sys.meta_path:  # a test may have put back what was there before
        sys.meta_path.remove(finder)


def _may_be_asked_for(config: pytest.Config) -> bool:
    """Whether it is worth to look into files, for which nearly everything has to be imported."""
    import os

    asked = config.getoption("sessionwatch") or config.getini("sessionwatch")
    if asked or "SESSIONWATCH_PYTEST" in os.environ:
        return True
    root = config.rootpath
    return any(_names_us(folder / "pyproject.toml") for folder in (root, *root.parents))


def _names_us(file: Any) -> bool:
    try:
        return "tool.sessionwatch" in file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


@pytest.fixture
def sessionwatch(request: pytest.FixtureRequest) -> Iterator[TestHandle]:
    """The sessions, findings and counts of this test, and `assert_clean()`.

    Without `--sessionwatch` it watches just this test, from the fixture on, and fails nothing by
    itself.
    """
    from sessionwatch.testing.handle import TestHandle
    from sessionwatch.testing.suite import TEST, Suite, suite_settings

    plugins = request.config.pluginmanager
    if not plugins.hasplugin(_SET_UP):
        plugins.register(_SetUp(), _SET_UP)
    run = plugins.get_plugin("sessionwatch-run")
    if run is not None:
        handle = request.node.stash[_handles] = TestHandle(run.owner)
        yield handle
        return
    suite = Suite(suite_settings(folder=request.config.rootpath))
    suite.start()
    owner = suite.begin(TEST, request.node.nodeid)
    try:
        handle = request.node.stash[_handles] = TestHandle(owner)
        yield handle
        suite.end(owner)
    finally:
        suite.stop()


class _SetUp:
    """The plugin that is registered when a test first asks for the fixture."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Tell the fixture that all fixtures are set up."""
        handle = item.stash.get(_handles, None)
        if handle is not None:
            handle.fixtures_are_set_up()
