"""What was asked of the plugin: on the command line, in pytest's own file, or in pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionwatch.configuration import tool_settings
from sessionwatch.selection import codes_asked
from sessionwatch.setting_values import LEVELS
from sessionwatch.settings import Settings
from sessionwatch.testing.suite import suite_settings

if TYPE_CHECKING:
    from sessionwatch.configuration import Found

OFF, WARN, ERROR = LEVELS


class Options:
    """The command line goes before pytest's file, and that before ours and the environment.

    Raises `ValueError` with one line for what is wrong.
    """

    def __init__(self, config: Any) -> None:
        self.root: Path = config.rootpath
        """Pytest's root directory: the pyproject.toml is the nearest from there up."""
        found = tool_settings("pytest", "report", "baseline", folder=self.root)
        self.level: str = _asked(config, "sessionwatch") or found.get("pytest", OFF)
        if self.level not in LEVELS:
            raise ValueError(f"sessionwatch is {self.level!r}; use one of {', '.join(LEVELS)}")
        self.codes = (*_codes(config, "select"), *_codes(config, "ignore"))
        """The settings `select` and `ignore`, as far as they are asked for."""
        self.report: str | None = _asked(config, "sessionwatch_report") or found.get("report")
        self.baseline: str | None = _asked(config, "sessionwatch_baseline") or found.get("baseline")
        self.writes_baseline = bool(config.getoption("sessionwatch_write_baseline"))
        if self.writes_baseline and self.baseline is None:
            raise ValueError(
                "--sessionwatch-write-baseline needs --sessionwatch-baseline=FILE to write to"
            )
        if self.report is not None:
            from sessionwatch.outlets.findings_report import check_target

            check_target(self.report, "--sessionwatch-report")

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
