"""One run of pytest with sessionwatch: which hook begins and ends whom, and who fails."""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from sessionwatch import rules, testing
from sessionwatch.records.stand_in import StandIn
from sessionwatch.rules.words import plural
from sessionwatch.testing.options import ERROR, Options
from sessionwatch.testing.reports import Reports, send_verdict, take_verdict
from sessionwatch.testing.suite import FIXTURE, TEST, Suite
from sessionwatch.testing.summary import Summary, lines
from sessionwatch.testing.verdict import Verdict, counted, judge

_MARK = "sessionwatch"
_OUTPUT = "sessionwatch"
"""Where one of xdist's workers leaves what it has seen beside its tests."""


class Run:
    """The plugin that is registered when sessionwatch is asked for.

    In another process than the first, which is one of xdist's workers or a fork, the verdict of a
    test travels with the report of its teardown, and those of fixtures of many tests with the end
    of the process, so that xdist's controller and pytest-forked's parent come to know them.
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
        self._is_forked = self._reads_reports = False
        self._marked: tuple[Any, tuple[pytest.Mark, ...]] = (None, ())
        """The class or module of the test before this one, and the marks on and around it."""
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
        if hasattr(os, "register_at_fork"):
            told = weakref.WeakMethod(self._forked)
            os.register_at_fork(
                after_in_child=lambda: _call(told, is_child=True),
                after_in_parent=lambda: _call(told, is_child=False),
            )

    def _forked(self, *, is_child: bool) -> None:
        if is_child:
            self._is_forked = True
        else:
            self._read_reports()

    def _read_reports(self) -> None:
        """Look into reports from now on, as there is another process that may run tests."""
        if not (self._reads_reports or self._is_worker or self._is_forked):
            self._reads_reports = True
            self._config.pluginmanager.register(Reports(self._summary))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self) -> None:
        """Note that xdist begins a worker."""
        self._read_reports()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Let what follows belong to the test, with its own fixtures."""
        self._test_failed = False
        if item.user_properties:
            take_verdict(item.user_properties)  # of a run before, where a test is run again
        owner = self.owner = self._suite.begin(TEST, item.nodeid)
        parent, marks = self._marked
        if item.parent is not parent:
            marks = _marks_around(item.parent)
            self._marked = item.parent, marks
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
        if self._baseline:
            self._summary.tests.add(item.nodeid)
        if owner is None:  # a hook that came before ours has skipped the test
            return ""
        if not self._is_forked and self._suite.passes(owner, self._summary.longest_ns):
            return ""
        self._suite.end(owner)
        counts = self._untold_counts(owner)
        verdict, failing = judge(owner, item, self._baseline, self._summary.longest_ns, counts)
        owner.let_go()
        if verdict is None:
            return ""
        if self._is_forked or self._is_worker:
            send_verdict(verdict, item.user_properties)
        else:
            self._summary.add(verdict, item.nodeid)
        if not failing or not self._fails or self._test_failed:
            return ""
        return testing.handle.failure_text(failing, "leaks or loses work", owner)

    def _untold_counts(self, owner: StandIn) -> dict[str, int]:
        """Return what the totals of this process, which are told at its end, do not have.

        Those of a fork are never told.
        """
        counts = owner.counts(owner.ended_ns) if self._is_forked else owner.foreign_counts()
        return {} if counts is None else counted(counts)

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
        verdict, _ = judge(owner, None, self._baseline, self._summary.longest_ns, counts)
        if verdict is not None:
            self._summary.add(verdict, "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stop, judge what belongs to no test, and write what was asked for."""
        self._suite.stop()
        run = self._suite.run
        run.ended_ns = run.ended_ns or self._suite.watch.clock()
        self._add(run, **counted(self._suite.watch.totals().counts))
        if self._is_worker:
            self._config.workeroutput[_OUTPUT] = self._sent()  # type: ignore[attr-defined]
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
        plain = getattr(node, "workeroutput", {}).get(_OUTPUT)
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


def _call(told: weakref.WeakMethod[Any], **how: bool) -> None:
    """Call a method of what may be gone: nobody can take back what is registered for forks."""
    method = told()
    if method is not None:
        method(**how)


def _marks(node: Any) -> tuple[pytest.Mark, ...]:
    """Return the marks of ours that stand on a test, class, module or folder itself."""
    return tuple([mark for mark in node.own_markers if mark.name == _MARK])


def _marks_around(node: Any) -> tuple[pytest.Mark, ...]:
    """Return those of a class, module or folder and all around it, which all its tests share."""
    return () if node is None else (*_marks(node), *_marks_around(node.parent))


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
