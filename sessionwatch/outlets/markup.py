"""Elements of HTML, whose texts are never taken for markup."""

from __future__ import annotations

from xml.etree import ElementTree as ET

Child = ET.Element | str


def element(tag: str, *children: Child, **attributes: str) -> ET.Element:
    """Return an element; `class_` stands for `class`, and `aria_label` for `aria-label`."""
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    made = ET.Element(tag, names)
    for child in children:
        if isinstance(child, ET.Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def markup(root: ET.Element) -> str:
    """Return an element as HTML; what UTF-8 cannot hold becomes a question mark."""
    text = ET.tostring(root, encoding="unicode", method="html")
    return text.encode(errors="replace").decode()
