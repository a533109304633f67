"""Findings as a table in Markdown, for a comment on a change."""

from __future__ import annotations

from collections.abc import Sequence

from sessionwatch.outlets.report_markdown import row, text
from sessionwatch.outlets.reportable import Reportable
from sessionwatch.rules.words import plural

_MOST_ROWS = 50


def findings_markdown(findings: Sequence[Reportable]) -> str:
    """Return a row for each finding, and below them the fix for each code."""
    if not findings:
        return "### sessionwatch\n\nNo findings.\n"
    errors = sum(finding.severity == "error" for finding in findings)
    lines = [
        "### sessionwatch",
        "",
        f"{plural(len(findings), 'finding')}, {errors} of them with severity error.",
        "",
        row("", "where", "what", "seen"),
        row("---", "---", "---", "--:"),
        *(_row(finding) for finding in findings[:_MOST_ROWS]),
    ]
    if len(findings) > _MOST_ROWS:
        lines += ["", f"And {len(findings) - _MOST_ROWS} more."]
    fixes = sorted({(finding.code, finding.fix) for finding in findings})
    lines += ["", *(f"- {code}: {text(fix, code=True)}" for code, fix in fixes)]
    return "\n".join(lines) + "\n"


def _row(finding: Reportable) -> str:
    where = " · ".join(text(each) for each in (finding.place, finding.test) if each)
    code = f"{finding.code} {finding.name} ({finding.severity})"
    return row(code, where or text(finding.owner), text(finding.what), str(finding.count))
