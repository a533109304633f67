"""The static check on a terminal: a line for each finding, with its fix below."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.lint.catalog import LINT_CATALOG
from sessionwatch.lint.check import Result
from sessionwatch.lint.finding import LintFinding


def lint_lines(result: Result) -> Iterator[str]:
    """Yield what was found, what could not be checked, and what was ignored in vain."""
    for finding in result.findings:
        yield from finding_lines(finding)
    for path, reason in result.unreadable:
        yield f"{path}: {reason}"
    for comment, codes in result.unused:
        told = ", ".join(map(_unused, codes))
        yield f"{comment.module.path}:{comment.line}: nothing here to ignore: {told}"
    yield total(result)


def finding_lines(finding: LintFinding) -> Iterator[str]:
    """Yield where it is and what, the line of source, and the fix."""
    place = f"{finding.module.path}:{finding.line}:{finding.column}"
    yield f"{place}: {finding.message} ({finding.rule.severity.value})"
    yield f"    {finding.module.line(finding.line).strip()}"
    yield f"    fix: {finding.fix}"


def _unused(code: str) -> str:
    exists = any(known.startswith(code) for known in LINT_CATALOG)
    return (code or "any") if exists else f"{code} (lint has no such code)"


def total(result: Result) -> str:
    """Return how many findings there are, and in how many files."""
    number = len(result.findings)
    findings = {0: "no findings", 1: "1 finding"}.get(number, f"{number} findings")
    files = "1 file" if result.files == 1 else f"{result.files} files"
    missed = f", {len(result.unreadable)} not checked" if result.unreadable else ""
    return f"{findings} in {files}{missed}"
