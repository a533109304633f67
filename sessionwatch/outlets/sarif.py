"""SARIF 2.1.0, which code hosts read (OASIS, "Static Analysis Results Interchange Format")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from sessionwatch import __version__
from sessionwatch.outlets.reportable import Reportable

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_ROOT = "SRCROOT"


def sarif(findings: Sequence[Reportable]) -> dict[str, Any]:
    """Return a log of one run; each result's location is the application's innermost frame."""
    rules = {finding.code: finding for finding in reversed(findings)}
    codes = sorted(rules)
    driver = {
        "name": "sessionwatch",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(rules[code]) for code in codes],
    }
    results = [_result(finding, codes.index(finding.code)) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Reportable) -> dict[str, Any]:
    name = "".join(word.capitalize() for word in finding.name.split("-"))
    title = finding.name.replace("-", " ")
    return {
        "id": finding.code,
        "name": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": finding.cause or title},
        "help": {"text": finding.fix},
    }


def _result(finding: Reportable, rule_index: int) -> dict[str, Any]:
    told = finding.message if not finding.test else f"{finding.message}\nSeen in {finding.test}."
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{told}\n{finding.fix}"},
        "partialFingerprints": {"sessionwatch/v1": finding.fingerprint},
        "occurrenceCount": finding.count,
        "locations": list(_locations(finding)),
    }
    if finding.test:
        result["properties"] = {"test": finding.test}
    return result


def _locations(finding: Reportable) -> Iterable[dict[str, Any]]:
    if finding.file is None:
        return
    region = {"startLine": max(finding.line, 1)}
    if finding.column:
        region["startColumn"] = finding.column
    place: dict[str, Any] = {"artifactLocation": _artifact(finding.file), "region": region}
    location: dict[str, Any] = {"physicalLocation": place}
    if finding.function:
        location["logicalLocations"] = [{"name": finding.function, "kind": "function"}]
    yield location


def _artifact(file: str) -> dict[str, str]:
    """Return the file as a URI, relative to the root of the sources where it lies below."""
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": _ROOT}
