"""Lanes on a time axis, as SVG: what is seen is the order first, and how long it took second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

from sessionwatch.outlets.picture.axis import Axis
from sessionwatch.outlets.picture.words import duration, sentences

Timeline = Mapping[str, Any]

_TITLES = 166
"""The width of the column that names the lanes."""
_LANE, _TOP = 40, 30
_BAR = 12
_ROOM, _LETTER, _PADDING = 12.0, 7.0, 14.0
_NAME_LENGTH = 21

LABELS = {
    "response": "response",
    "last byte": "last byte",
    "raised": "raises",
    "cancelled": "cancelled",
    "flush": "flush",
    "commit": "commit",
    "commit fails": "commit fails",
    "release": "release",
    "rollback": "rollback",
    "discarded": "discarded",
    "collected": "never closed",
    "reclaimed": "taken back by GC",
    "terminated": "thrown away",
}
"""The moments that are named in the drawing; the others are where a bar begins or ends."""
_NEVER = {"session": "not closed", "connection": "still out", "transaction": "open"}
_numbers = count(1)


def draw(timeline: Timeline, title: str) -> ET.Element:
    """Return the drawing, with `title` as its name and all that happens as its description."""
    axis = Axis(_needs(timeline), _TITLES)
    rows = _pin_rows(timeline, axis)
    bottom = _TOP + _LANE * len(timeline["lanes"])
    height = bottom + 20 * len(rows) + 26
    width = axis.right + _room_of(_open_end(timeline))
    number = next(_numbers)
    names = {"title": f"course-{number}-title", "desc": f"course-{number}-words"}
    svg = ET.Element(
        "svg",
        {
            "viewBox": f"0 0 {width:.0f} {height}",
            "width": f"{width:.0f}",
            "height": str(height),
            "role": "img",
            "aria-labelledby": names["title"],
            "aria-describedby": names["desc"],
        },
    )
    ET.SubElement(svg, "title", {"id": names["title"]}).text = title
    described = " ".join(f"{time}: {words}." for time, words in sentences(timeline))
    ET.SubElement(svg, "desc", {"id": names["desc"]}).text = described
    _draw_answered(svg, timeline, axis, bottom, width)
    for index, lane in enumerate(timeline["lanes"]):
        top = _TOP + _LANE * index
        group = _draw_lane(svg, lane, axis, top, axis(timeline["seconds"]))
        for moment in lane["moments"]:
            _draw_moment(group, moment, _label(timeline, moment), axis(moment["at"]), top)
    _draw_pins(svg, rows, axis, bottom)
    _draw_times(svg, timeline, axis, bottom + 20 * len(rows))
    return svg


def _needs(timeline: Timeline) -> Iterator[tuple[float, float]]:
    """Return each moment with the room that it needs: that of its label, or of the bare mark."""
    yield 0.0, _ROOM
    yield timeline["seconds"], _room_of(duration(timeline["seconds"]))
    for lane in timeline["lanes"]:
        for span in lane["spans"]:
            yield span["from"], _ROOM
            if span["to"] is not None:
                yield span["to"], _ROOM
        for moment in lane["moments"]:
            yield moment["at"], _room_of(_label(timeline, moment))
    for finding in timeline["findings"]:
        yield finding["at"], _room_of(finding["code"])


def _room_of(label: str) -> float:
    return max(_ROOM, len(label) * _LETTER + _PADDING) if label else _ROOM


def _label(timeline: Timeline, moment: Mapping[str, Any]) -> str:
    kind, owner = moment["kind"], timeline["owner"]
    label = LABELS.get(kind, "")
    if kind == "response":
        return f"{label} {owner['status']}"
    return f"{label} {owner['error']}" if kind == "raised" else label


def _open_end(timeline: Timeline) -> str:
    """Return the longest word that stands to the right of a bar without an end."""
    open_kinds = (
        _NEVER.get(lane["kind"], "")
        for lane in timeline["lanes"]
        if any(span["to"] is None for span in lane["spans"])
    )
    return max(open_kinds, key=len, default="")


def _text(
    parent: ET.Element, x: float, y: float, text: str, kind: str, **attributes: str
) -> ET.Element:
    made = ET.SubElement(
        parent, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind, **attributes}
    )
    made.text = text
    return made


def _draw_answered(
    svg: ET.Element, timeline: Timeline, axis: Axis, bottom: float, width: float
) -> None:
    """Shade the time in which the client has been answered."""
    if not timeline["response_started"]:
        return
    x = axis(timeline["response_started"])
    area = {"x": f"{x:.1f}", "y": "0", "width": f"{width - x:.1f}", "height": f"{bottom:.0f}"}
    ET.SubElement(svg, "rect", {**area, "class": "answered"})
    place = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": "0", "y2": f"{bottom:.0f}"}
    ET.SubElement(svg, "line", {**place, "class": "answer"})
    _text(svg, x - 6, 16, "before the answer", "note", **{"text-anchor": "end"})
    _text(svg, x + 6, 16, "after the answer", "note")


def _draw_lane(
    svg: ET.Element, lane: Mapping[str, Any], axis: Axis, top: float, end: float
) -> ET.Element:
    """Draw a lane's name and bars; those without an end reach to `end`, which is now."""
    group = ET.SubElement(svg, "g", {"class": f"lane {lane['kind']}"})
    name = str(lane["title"])
    short = name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
    indent = 0 if lane["kind"] in ("owner", "session") else 12
    title = _text(group, 4 + indent, top + 29, short, "name")
    if short != name:
        ET.SubElement(title, "title").text = name
    for span in lane["spans"]:
        x = axis(span["from"])
        until = end if span["to"] is None else axis(span["to"])
        bar = {
            "x": f"{x:.1f}",
            "y": f"{top + 18:.0f}",
            "width": f"{max(3.0, until - x):.1f}",
            "height": str(_BAR),
            "class": f"bar {span['state'].replace(' ', '-')}",
        }
        ET.SubElement(group, "rect", bar)
        if span["to"] is None and lane["kind"] in _NEVER:
            _text(group, end + 5, top + 28, _NEVER[lane["kind"]], "label wrong")
    return group


def _draw_moment(
    group: ET.Element, moment: Mapping[str, Any], label: str, x: float, top: float
) -> None:
    if not label:
        return
    kind = moment["kind"].replace(" ", "-")
    place = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": f"{top + 6:.0f}", "y2": f"{top + 32:.0f}"}
    line = ET.SubElement(group, "line", {**place, "class": f"mark {kind}"})
    ET.SubElement(line, "title").text = moment["words"]
    _text(group, x + 3, top + 14, label, f"label {kind}")


def _pin_rows(timeline: Timeline, axis: Axis) -> list[list[tuple[float, Mapping[str, Any]]]]:
    """Put the findings into rows in which no two of them overlap."""
    rows: list[list[tuple[float, Mapping[str, Any]]]] = []
    for finding in timeline["findings"]:
        x = axis(finding["at"])
        for row in rows:
            if x - row[-1][0] >= _room_of(finding["code"]):
                row.append((x, finding))
                break
        else:
            rows.append([(x, finding)])
    return rows


def _draw_pins(
    svg: ET.Element,
    rows: list[list[tuple[float, Mapping[str, Any]]]],
    axis: Axis,
    bottom: float,
) -> None:
    for index, row in enumerate(rows):
        y = bottom + 20 * index
        for x, finding in row:
            group = ET.SubElement(svg, "g", {"class": f"pin {finding['severity']}"})
            place = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": f"{_TOP}", "y2": f"{y + 16:.0f}"}
            ET.SubElement(group, "line", place)
            ET.SubElement(group, "title").text = finding["message"]
            _text(group, x + 4, y + 14, finding["code"], "code")
    if rows:
        _text(svg, 4, bottom + 14, "findings", "name")


def _draw_times(svg: ET.Element, timeline: Timeline, axis: Axis, top: float) -> None:
    """Write the time of a named moment below it, wherever there is room."""
    times = {0.0, timeline["seconds"]}
    for lane in timeline["lanes"]:
        times.update(each["at"] for each in lane["moments"] if each["kind"] in LABELS)
    free = 0.0
    for at in sorted(times):
        x, text = axis(at), duration(at)
        if x < free:
            continue
        free = x + _room_of(text)
        ET.SubElement(
            svg,
            "line",
            {
                "x1": f"{x:.1f}",
                "x2": f"{x:.1f}",
                "y1": f"{top + 2:.0f}",
                "y2": f"{top + 8:.0f}",
                "class": "tick",
            },
        )
        _text(svg, x, top + 20, text, "time")
