"""One run of pytest with sessionwatch: which hook begins and ends whom, and who fails."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from sessionwatch import rules, testing
from sessionwatch.records.stand_in import StandIn
from sessionwatch.rules.words import plural
from sessionwatch.testing.options import ERROR, Options
from sessionwatch.testing.suite import FIXTURE, TEST, Suite
from sessionwatch.testing.summary import Summary, lines
from sessionwatch.testing.verdict import Verdict, counted, judge

_around = pytest.StashKey[tuple[pytest.Mark, ...]]()
_MARK = "sessionwatch"
_VERDICT = "sessionwatch"
"""The property with which a report carries its test's verdict, and a worker its own."""


class Run:
    """The plugin that is registered when sessionwatch is asked for.

    Every verdict travels with the report of its test's teardown, among its user properties, and
    those of fixtures of many tests with the end of their process, so that xdist's controller and
    pytest-forked's parent come to know what a plain run does. A wrapper around each report would
    tell the same and cost more than all the rest.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._is_worker = hasattr(config, "workerinput")
        self._baseline: dict[str, dict[str, str]] = {}
        if options.baseline is not None and not options.writes_baseline:
            from sessionwatch.testing.baseline import read_baseline

            self._baseline = read_baseline(options.baseline)
        self._suite = Suite(options.settings())
        self._summary = Summary()
        self._process = os.getpid()
        self._written: list[str] = []
        self.owner: StandIn | None = None
        """Whose is what the test opens that runs now."""
        self._test_failed = False

    @property
    def _fails(self) -> bool:
        return self._options.level == ERROR and not self._options.writes_baseline

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Begin to watch before anything is collected."""
        self._suite.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Let what follows belong to the test, with its own fixtures."""
        self._test_failed = False
        if item.user_properties:
            _take_verdict(item.user_properties)  # of a run before, where a test is run again
        owner = self.owner = self._suite.begin(TEST, item.nodeid)
        marks = _marks_around(item.parent)
        if item.own_markers:
            marks = (*_marks(item), *marks)
        if marks:
            owner.permitted = _permitted(item, marks)

    def pytest_exception_interact(self, node: Any) -> None:
        """Note that a test failed by itself; this is told before its teardown, forked or not."""
        if isinstance(node, pytest.Item):
            self._test_failed = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Judge the test when all its fixtures are torn down."""
        try:
            result = yield
        except BaseException:
            self._end(item)
            raise
        text = self._end(item)
        if text:
            pytest.fail(text, pytrace=False)
        return result

    def _end(self, item: pytest.Item) -> str:
        """Judge a test, and keep of it no more than its verdict; returns why it is to fail."""
        owner, self.owner = self.owner, None
        if owner is None:  # a hook that came before ours has skipped the test
            return ""
        self._suite.end(owner)
        counts = self._counts_elsewhere(owner)
        holders = self._summary.holders
        verdict, failing = judge(owner, item.nodeid, self._baseline, holders, counts)
        owner.let_go()
        if verdict is not None:
            item.user_properties.append((_VERDICT, verdict.to_dict()))
        if not failing or not self._fails or self._test_failed:
            return ""
        return testing.handle.failure_text(failing, "leaks or loses work", owner)

    def _counts_elsewhere(self, owner: StandIn) -> dict[str, int]:
        """Return what the totals of this process, which are told at its end, do not have."""
        if os.getpid() != self._process:
            return counted(owner.counts(owner.ended_ns))
        return counted(owner.foreign_counts()) if owner.children else {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """Let a fixture of many tests own what it opens, when it is set up and torn down.

        Finalizers run last in, first out: the owner comes back first, and is judged last.
        """
        if fixturedef.scope == "function":
            return (yield)
        name = f"fixture {fixturedef.argname} ({fixturedef.scope})"
        owner = self._suite.begin(FIXTURE, name)
        fixturedef.addfinalizer(lambda: self._end_fixture(owner))
        try:
            return (yield)
        finally:
            self._suite.pause(owner)
            fixturedef.addfinalizer(lambda: self._suite.resume(owner))

    def _end_fixture(self, owner: StandIn) -> None:
        self._suite.end(owner)
        self._add(owner)
        owner.let_go()

    def _add(self, owner: StandIn, **counts: int) -> None:
        verdict, _ = judge(owner, "", self._baseline, self._summary.holders, counts)
        if verdict is not None:
            self._summary.add(verdict, "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take the verdict of a test that ran in this process or another, before others see it."""
        if report.when == "teardown" and not self._is_worker:
            self._summary.tests.add(report.nodeid)
            plain = _take_verdict(report.user_properties) if report.user_properties else None
            if plain is not None:
                self._summary.add(Verdict.from_dict(plain), report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop, judge what belongs to no test, and write what was asked for."""
        self._suite.stop()
        run = self._suite.run
        run.ended_ns = run.ended_ns or self._suite.watch.clock()
        self._add(run, **counted(self._suite.watch.totals().counts))
        if self._is_worker:
            self._config.workeroutput[_VERDICT] = self._sent()  # type: ignore[attr-defined]
            return
        self._write()
        if self._fails and self._summary.fails_run and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _sent(self) -> dict[str, Any]:
        """Return what a worker has seen of fixtures and of no test, as one verdict."""
        summary = self._summary
        return Verdict(
            findings=[finding.to_dict() for finding in summary.all_known()],
            tolerated=sorted(summary.tolerated),
            counts=dict(summary.counts),
            holders=summary.holders,
        ).to_dict()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what one of xdist's workers has seen beside its tests."""
        plain = getattr(node, "workeroutput", {}).get(_VERDICT)
        if plain is not None:
            self._summary.add(Verdict.from_dict(plain), "")

    def _write(self) -> None:
        options, summary = self._options, self._summary
        try:
            if options.writes_baseline and options.baseline is not None:
                from sessionwatch.testing.baseline import write_baseline

                number = write_baseline(options.baseline, summary.all_known())
                self._written.append(f"wrote {plural(number, 'finding')} into {options.baseline}")
            if options.report is not None:
                from sessionwatch.outlets.findings_report import report

                report(summary.findings, options.report, self._written.append)
        except OSError as error:
            self._written.append(f"can't write {error.filename}: {error.strerror}")
            summary.fails_run = True

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """Say what was found, by code and place; with `-v` the stacks and fixes too."""
        terminalreporter.section("sessionwatch")
        for line in lines(self._summary, stacks=config.get_verbosity() > 0):
            terminalreporter.write_line(line)
        for line in (*self._of_baseline(terminalreporter), *self._of_watch(), *self._written):
            terminalreporter.write_line(line.rstrip("\n"))

    def _of_watch(self) -> Iterator[str]:
        watch = self._suite.watch
        errors = watch.internal_errors.total()
        if errors:
            yield f"sessionwatch itself failed {errors} times; please report this"
        if self._summary.fails_run and self._fails:
            yield "the run fails for what belongs to no single test"

    def _of_baseline(self, terminalreporter: Any) -> Iterator[str]:
        if not self._baseline:
            return
        file = self._options.baseline
        yield f"tolerated by {file}: {len(self._summary.tolerated)}"
        is_whole = self._is_whole(terminalreporter)
        for fingerprint, entry in self._baseline.items():
            if fingerprint not in self._summary.tolerated and (
                is_whole or entry["test"] in self._summary.tests
            ):
                whose = entry["test"] or entry["owner"]
                yield f"no longer found, take it out of {file}: {entry['code']} of {whose}"

    def _is_whole(self, terminalreporter: Any) -> bool:
        """Whether all tests were to run, so that what was not found is gone."""
        chosen = self._config.args_source is pytest.Config.ArgsSource.ARGS
        return not chosen and not terminalreporter.stats.get("deselected")


def _take_verdict(properties: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """Return the verdict among the user properties of a test or report, if there is one."""
    for index, (name, value) in enumerate(properties):
        if name == _VERDICT:
            del properties[index]
            return value  # type: ignore[no-any-return]
    return None


def _marks(node: Any) -> tuple[pytest.Mark, ...]:
    """Return the marks of ours that stand on a test, class, module or folder itself."""
    return tuple([mark for mark in node.own_markers if mark.name == _MARK])


def _marks_around(node: Any) -> tuple[pytest.Mark, ...]:
    """Return those of a class, module or folder and all around it, which all its tests share."""
    if node is None:
        return ()
    marks: tuple[pytest.Mark, ...] | None = node.stash.get(_around, None)
    if marks is None:
        marks = node.stash[_around] = (*_marks(node), *_marks_around(node.parent))
    return marks


def _permitted(item: pytest.Item, marks: tuple[pytest.Mark, ...]) -> frozenset[str]:
    """Return the codes that a test's marks allow; fail the test for a mark that is wrong."""
    try:
        return frozenset[str]().union(*[_allowed(mark) for mark in marks])
    except ValueError as error:
        pytest.fail(f"sessionwatch: the mark of {item.nodeid}: {error}", pytrace=False)


def _allowed(mark: pytest.Mark) -> frozenset[str]:
    """Return the codes that a mark allows; raise `ValueError` that says what is wrong with it."""
    codes = mark.kwargs.get("allow", ())
    if mark.args or set(mark.kwargs) - {"allow"} or isinstance(codes, str):
        raise ValueError("write @pytest.mark.sessionwatch(allow=['SW101'])")
    return rules.codes.require_codes(codes)
