"""Clicks of which it is known what the page has seen of them."""

from __future__ import annotations

from typing import Any

_NOTE = """() => {
    const isNew = window.seen === undefined;
    window.seen = [];
    if (!isNew) return;
    for (const type of ["pointerdown", "pointerup", "click"])
        window.addEventListener(type, () => window.seen.push(type), true);
}"""


def press(locator: Any) -> None:
    """Click a button of the page, once more where the browser let the page know nothing of it.

    A browser that gets no processor time right after a page has opened may lose a click on its
    way there. What has come to the page has to work: a press without a click fails.
    """
    page = locator.page
    for _ in range(2):
        page.evaluate(_NOTE)
        locator.click()
        seen = page.evaluate("window.seen")
        if seen:
            break
    assert seen == ["pointerdown", "pointerup", "click"]
