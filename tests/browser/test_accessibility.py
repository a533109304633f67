"""What axe-core finds on the page, in both colour schemes, on a phone, and at the login."""

from __future__ import annotations

import pytest

from sessionwatch import Settings

from .pressing import press


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_serious_on_the_page(shop, open_page, scheme, width, serious):
    shop.get("/items/1")
    shop.leak_many(60)
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    press(page.locator("#sessions .more").first)
    press(page.locator("#findings .more").first)
    press(page.get_by_role("button", name="Pause"))
    assert serious(page) == []


def test_nothing_serious_at_the_login(open_page, expected_errors, watch_token, serious):
    expected_errors.append("403")
    assert serious(open_page()) == []


@pytest.fixture
def settings(request):
    token = "open sesame" if "watch_token" in request.fixturenames else None
    return Settings(log_findings=False, token=token)


@pytest.fixture
def watch_token():
    """Have the watch ask for a token."""


def test_all_can_be_reached_by_keyboard(shop, open_page):
    shop.get("/items/1")
    page = open_page()
    page.locator("#sessions .more").wait_for()
    press(page.get_by_role("button", name="Pause"))
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
    assert {"Go on", "Clear", "stack", "Copy as Markdown", "Opened"} <= reached
