"""JUnit XML, in the form that CI systems read: a failure for each error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from sessionwatch.outlets.reportable import Reportable

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't hold, not even escaped (section 2.2)."""


def junit(findings: Sequence[Reportable]) -> str:
    """Return a suite with a case for each finding; one that passes stands where there is none.

    Errors and warnings fail; what is merely told is `system-out` of a case that passes.
    """
    failing = [finding for finding in findings if finding.severity != "info"]
    suite = ElementTree.Element(
        "testsuite",
        name="sessionwatch",
        tests=str(len(findings) or 1),
        failures=str(len(failing)),
        errors="0",
        skipped="0",
    )
    for finding in findings:
        _add_case(suite, finding)
    if not findings:
        ElementTree.SubElement(suite, "testcase", classname="sessionwatch", name="no findings")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ElementTree.Element, finding: Reportable) -> None:
    owner = finding.test or finding.owner or finding.place
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"sessionwatch.{finding.code}",
        name=_text(f"{finding.name}: {owner}"),
    )
    if finding.file:
        case.set("file", _text(finding.file))
        case.set("line", str(finding.line))
    body = "\n".join([finding.message, *_stack(finding), f"fix: {finding.fix}"])
    if finding.severity == "info":
        ElementTree.SubElement(case, "system-out").text = _text(body)
    else:
        failure = ElementTree.SubElement(
            case, "failure", type=finding.severity, message=_text(finding.message)
        )
        failure.text = _text(body)


def _stack(finding: Reportable) -> list[str]:
    return ["opened at", *(f"  {frame}" for frame in finding.stack)] if finding.stack else []


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
