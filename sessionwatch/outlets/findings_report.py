"""Findings in the forms that CI systems read: one outlet for every command and the plugin."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sessionwatch.outlets.findings_markdown import findings_markdown
from sessionwatch.outlets.github import github_annotations
from sessionwatch.outlets.junit import junit
from sessionwatch.outlets.reportable import Reportable, worst_first
from sessionwatch.outlets.sarif import sarif
from sessionwatch.setting_values import GITHUB


def json_text(findings: Sequence[Reportable]) -> str:
    """Return the findings as JSON, each with its fingerprint."""
    return json.dumps({"findings": [each.to_dict() for each in findings]}, indent=2) + "\n"


def sarif_text(findings: Sequence[Reportable]) -> str:
    """Return the SARIF log as text."""
    return json.dumps(sarif(findings), indent=2) + "\n"


_BY_SUFFIX: dict[str, Callable[[Sequence[Reportable]], str]] = {
    ".json": json_text,
    ".sarif": sarif_text,
    ".xml": junit,
    ".md": findings_markdown,
}


def check_target(target: str, option: str) -> str:
    """Return where a report is to go; raise `ValueError` for what it can't be written to."""
    if target == GITHUB:
        return target
    path = Path(target)
    if path.suffix.lower() not in _BY_SUFFIX:
        known = ", ".join(_BY_SUFFIX)
        raise ValueError(f"{option}: {target!r} is neither {GITHUB!r} nor a file in {known}")
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"{option}: can't write {target}: name a file in a folder that is there")
    return target


def report(findings: Iterable[Reportable], target: str, write: Callable[[str], object]) -> None:
    """Report findings, worst first: into a file by its suffix, or as annotations by `write`.

    Raises `OSError` for a file that can't be written.
    """
    ordered = worst_first(findings)
    if target == GITHUB:
        write(github_annotations(ordered))
    else:
        path = Path(target)
        path.write_text(_BY_SUFFIX[path.suffix.lower()](ordered), encoding="utf-8")
