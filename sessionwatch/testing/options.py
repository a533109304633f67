"""What was asked of the plugin: on the command line, in pytest's own file, or in pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sessionwatch.configuration import Found, tool_settings
from sessionwatch.selection import codes_asked
from sessionwatch.setting_values import LEVELS
from sessionwatch.settings import Settings
from sessionwatch.testing.suite import suite_settings

OFF, WARN, ERROR = LEVELS


class Options(NamedTuple):
    """The command line goes before pytest's file, and that before ours and the environment."""

    level: str
    codes: tuple[Found, ...]
    """The settings `select` and `ignore`, as far as they are asked for."""
    report: str | None
    baseline: str | None
    writes_baseline: bool
    root: Path
    """Pytest's root directory: the pyproject.toml is the nearest from there up."""

    @classmethod
    def of(cls, config: Any) -> Options:
        """Read pytest's configuration; raise `ValueError` with one line for what is wrong."""
        found = tool_settings("pytest", "report", "baseline", folder=config.rootpath)
        level = _asked(config, "sessionwatch") or found.get("pytest", OFF)
        if level not in LEVELS:
            raise ValueError(f"sessionwatch is {level!r}; use one of {', '.join(LEVELS)}")
        options = cls(
            level,
            (*_codes(config, "select"), *_codes(config, "ignore")),
            _asked(config, "sessionwatch_report") or found.get("report"),
            _asked(config, "sessionwatch_baseline") or found.get("baseline"),
            bool(config.getoption("sessionwatch_write_baseline")),
            config.rootpath,
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
        return suite_settings(self.codes, self.root)


def _codes(config: Any, name: str) -> list[Found]:
    option = f"sessionwatch_{name}"
    is_option = bool(config.getoption(option))
    place = f"option --sessionwatch-{name}" if is_option else f"{option} in pytest's own file"
    return codes_asked(name, _asked(config, option), place)


def _asked(config: Any, option: str) -> str:
    """Return what the command line says, or else pytest's own file; "" stands for neither."""
    return config.getoption(option) or config.getini(option) or ""
