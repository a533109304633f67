"""The report of `sessionwatch compare` as one file for a browser, which loads nothing else.

There is no script in it: a cell of the matrix is a link to its evidence, which the style sheet
shows when it is the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any
from xml.etree import ElementTree as ET

from .markup import element, markup
from .picture import figure, palette, style
from .report_words import (
    COLUMNS,
    HANDLERS_OWN,
    HARMFUL,
    MILD,
    Cell,
    Report,
    Variant,
    agreement,
    burst,
    circumstances,
    disagreements,
    fail_on,
    is_about_yours,
    shown_variants,
    unstable,
    versions,
)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html_report(report: Report) -> str:
    """Return the whole file."""
    title = "sessionwatch compare: what each get_db really does"
    rules = palette() + style() + _style()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        ET.Element("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", rules),
    )
    quiz = [] if is_about_yours(report) else [_quiz(report)]
    main = element("main", _matrix(report), _evidence(report), *_numbers(report), *quiz)
    main.append(_sources(report))
    main.append(_conclusion(report))
    header = element(
        "header",
        element("h1", title),
        element("p", versions(report)),
        element("p", circumstances(report), class_="quiet"),
    )
    body = element("body", header, main)
    return f"<!doctype html>\n{markup(element('html', head, body, lang='en'))}\n"


def _style() -> str:
    return resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")


def _section(name: str, title: str, *children: ET.Element | str) -> ET.Element:
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def _scroll(name: str, table: ET.Element) -> ET.Element:
    """Let a wide table be scrolled by itself, by keyboard too."""
    return element(
        "div", table, class_="scroll", tabindex="0", role="region", aria_labelledby=f"{name}-title"
    )


def _anchor(variant: Variant, cell: Cell) -> str:
    return f"{variant['key']}-in-{cell['scenario']}"


def _matrix(report: Report) -> ET.Element:
    scenarios = report["plan"]["scenarios"]
    top = element("tr", element("th", "get_db", scope="col"))
    for scenario in scenarios:
        top.append(element("th", scenario["key"], scope="col", title=scenario["title"]))
    rows = element("tbody")
    for variant in report["variants"]:
        name = element("a", variant["key"], href=f"#source-{variant['key']}")
        row = element("tr", element("th", name, scope="row"))
        for cell in variant["cells"]:
            row.append(element("td", _link(variant, cell), class_=_grade(cell)))
        rows.append(row)
    table = element("table", element("thead", top), rows)
    how = "What went wrong, by variant and scenario; the evidence of a cell is shown when it is "
    return _section("matrix", "The matrix", element("p", how + "chosen."), _scroll("matrix", table))


def _link(variant: Variant, cell: Cell) -> ET.Element:
    said = ", ".join(cell["problems"]) or "sound"
    label = f"{variant['key']} in {cell['scenario']}: {said}"
    return element("a", said, href=f"#{_anchor(variant, cell)}", aria_label=label)


def _grade(cell: Cell) -> str:
    """Return how much the problems of a cell matter."""
    if not cell["problems"]:
        return "good"
    mild = {*MILD, *(HANDLERS_OWN if cell["handlers_doing"] else ())}
    return "mild" if mild.issuperset(cell["problems"]) else "bad"


def _evidence(report: Report) -> ET.Element:
    scenarios = {each["key"]: each for each in report["plan"]["scenarios"]}
    section = element("div", class_="evidence")
    for variant in report["variants"]:
        for cell in variant["cells"]:
            scenario = scenarios[cell["scenario"]]
            section.append(_cell(variant, cell, scenario, report["problems"]))
    return section


def _cell(
    variant: Variant, cell: Cell, scenario: Mapping[str, Any], problems: Mapping[str, str]
) -> ET.Element:
    name = _anchor(variant, cell)
    asked = f"{scenario['method']} {scenario['path']}: {scenario['title']}. Right: "
    parts = [element("p", asked + scenario["right"] + ".", class_="quiet")]
    wrong = [element("li", problems[problem]) for problem in cell["problems"]]
    parts.append(element("ul", *wrong) if wrong else element("p", "Nothing went wrong."))
    if cell["handlers_doing"] and not HANDLERS_OWN.isdisjoint(cell["problems"]):
        parts.append(element("p", "What is half done, or kept, is the handler's own doing."))
    if cell["burst"]:
        parts.append(element("p", burst(cell["burst"]) + ". Drawn is the request that went worst."))
    if cell["timeline"] is not None:
        parts.append(figure(cell["timeline"]))
    parts += [_finding(finding) for finding in cell["findings"]]
    parts.append(_comparisons(cell))
    parts.append(element("p", element("a", "Back to the matrix", href="#matrix")))
    return _section(name, f"{variant['key']} in {cell['scenario']}", *parts)


def _finding(finding: Mapping[str, Any]) -> ET.Element:
    head = f"{finding['code']} {finding['severity']}"
    return element(
        "div",
        element("h3", head, f" · {finding['name'].replace('-', ' ')} · {finding['evidence']}"),
        element("p", finding["message"]),
        element("p", f"Fix: {finding['fix']}"),
        class_=f"finding {finding['severity']}",
    )


def _comparisons(cell: Cell) -> ET.Element:
    top = ("about", "sessionwatch says", "proven", "by")
    rows = element("tbody")
    for each in cell["comparisons"]:
        said = (each["subject"], _say(each["recorded"]), _say(each["proven"]), each["witness"])
        rows.append(element("tr", *(element("td", text) for text in said)))
        if not each["agrees"]:
            rows[-1].set("class", "bad")
    heads = (element("th", text, scope="col") for text in top)
    caption = element("caption", "Both testimonies")
    return element("table", caption, element("thead", element("tr", *heads)), rows)


def _say(value: int | bool) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _numbers(report: Report) -> Iterator[ET.Element]:
    heads = ("get_db", *COLUMNS.values(), "verdict")
    rows = element("tbody")
    for variant in report["variants"]:
        row = element("tr", element("th", variant["key"], scope="row"))
        for key in COLUMNS:
            value = variant["columns"][key]
            kind = "number wrong" if key in HARMFUL and value else "number"
            row.append(element("td", "-" if value is None else str(value), class_=kind))
        row.append(element("td", variant["verdict"], class_="verdict"))
        rows.append(row)
    top = element("tr", *(element("th", text, scope="col") for text in heads))
    table = element("table", element("thead", top), rows)
    yield _section("numbers", "The numbers", _scroll("numbers", table))


def _sources(report: Report) -> ET.Element:
    grid = element("div", *(_source(variant) for variant in shown_variants(report)), class_="grid")
    return _section("sources", "The sources, and the line at fault", grid)


def _source(variant: Variant) -> ET.Element:
    lines = element("ol", class_="code")
    for number, text in enumerate(variant["source"].splitlines(), start=1):
        line = element("li", text)
        if number == variant["fault"]:
            line = element("li", element("strong", text, title="the line at fault"), class_="fault")
        lines.append(line)
    if not variant["at_fault"]:
        why = element("p", "No line of it was at fault here.", class_="sound")
    elif variant["fault"]:
        why = element("p", f"Line {variant['fault']}: {variant['fault_reason']}", class_="wrong")
    else:
        why = element("p", variant["fault_reason"] or "No single line is at fault.")
    return element(
        "article",
        element("h3", variant["key"]),
        element("p", f"{variant['title']} ({variant['origin']})", class_="quiet"),
        lines,
        why,
        element("p", variant["verdict"]),
        id=f"source-{variant['key']}",
    )


def _quiz(report: Report) -> ET.Element:
    parts = []
    for question in report["quiz"]:
        parts.append(element("h3", f"{question['number']}. {question['asks']}"))
        printed = f"Printed answer: {question['printed']}. Measured: "
        parts.append(element("p", printed, element("strong", question["verdict"]), "."))
        parts.append(element("ul", *(element("li", words) for words in question["evidence"])))
    return _section("quiz", "The quiz, held against these measurements", *parts)


def _conclusion(report: Report) -> ET.Element:
    parts = [element("p", agreement(report))]
    for cell, words in disagreements(report).items():
        parts.append(element("p", f"{cell}: {'; '.join(words)}", class_="wrong"))
    parts += [element("p", words, class_="wrong") for words in unstable(report)]
    if fail_on(report):
        parts.append(element("p", fail_on(report)))
    return _section("conclusion", "Do the two testimonies agree?", *parts)
