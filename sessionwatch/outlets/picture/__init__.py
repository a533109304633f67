"""The picture of an owner: its lanes as inline SVG, and the same in words, from a timeline."""

from __future__ import annotations

from importlib import resources
from xml.etree import ElementTree as ET

from sessionwatch.outlets.picture.drawing import Timeline, draw
from sessionwatch.outlets.picture.words import sentences, summary

__all__ = ["Timeline", "figure", "palette", "style"]


def figure(timeline: Timeline) -> ET.Element:
    """Return an HTML `figure`: the drawing, what it shows in one sentence, and all of it in words.

    Every text of the application's is a text node, never markup.
    """
    made = ET.Element("figure", {"class": "course"})
    scroll = ET.SubElement(made, "div", {"class": "scroll", "tabindex": "0", "role": "group"})
    said = summary(timeline)
    scroll.set("aria-label", "The picture; it can be scrolled sideways")
    scroll.append(draw(timeline, said))
    ET.SubElement(made, "figcaption").text = said
    course = ET.SubElement(made, "ol", {"class": "sentences"})
    for time, words in sentences(timeline):
        line = ET.SubElement(course, "li")
        ET.SubElement(line, "span", {"class": "time"}).text = time
        line[0].tail = f" {words}"
    return made


def palette() -> str:
    """Return the colours that every page has, light and dark."""
    return _read("palette.css")


def style() -> str:
    """Return the style sheet of the drawing, which needs the palette."""
    return _read("picture.css")


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
