"""What was asked of the plugin: on the command line, in pytest's own file, or in pyproject.toml."""

from __future__ import annotations

from typing import Any, NamedTuple

from sessionwatch.configuration import tool_settings
from sessionwatch.selection import codes_asked
from sessionwatch.setting_values import LEVELS
from sessionwatch.settings import Settings
from sessionwatch.testing.suite import suite_settings

OFF, WARN, ERROR = LEVELS


class Options(NamedTuple):
    """The command line goes before pytest's file, and that before ours and the environment."""

    level: str
    select: str
    ignore: str
    report: str | None
    baseline: str | None
    writes_baseline: bool

    @classmethod
    def of(cls, config: Any) -> Options:
        """Read pytest's configuration; raise `ValueError` with one line for what is wrong."""
        found = tool_settings("pytest", "report", "baseline")
        level = _asked(config, "sessionwatch") or found.get("pytest", OFF)
        if level not in LEVELS:
            raise ValueError(f"sessionwatch is {level!r}; use one of {', '.join(LEVELS)}")
        options = cls(
            level,
            _asked(config, "sessionwatch_select"),
            _asked(config, "sessionwatch_ignore"),
            _asked(config, "sessionwatch_report") or found.get("report"),
            _asked(config, "sessionwatch_baseline") or found.get("baseline"),
            bool(config.getoption("sessionwatch_write_baseline")),
        )
        if options.writes_baseline and options.baseline is None:
            raise ValueError(
                "--sessionwatch-write-baseline needs --sessionwatch-baseline=FILE to write to"
            )
        if options.report is not None:
            from sessionwatch.outlets.findings_report import check_target

            check_target(options.report, "--sessionwatch-report")
        return options

    def settings(self) -> Settings:
        """Return the settings of the suite's watch; raise `SettingsError`."""
        return suite_settings(**codes_asked(select=self.select, ignore=self.ignore))


def _asked(config: Any, option: str) -> str:
    """Return what the command line says, or else pytest's own file; "" stands for neither."""
    return config.getoption(option) or config.getini(option) or ""
