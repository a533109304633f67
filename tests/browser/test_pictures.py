"""The picture of an owner, and the report of `compare`, in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
ROOT = Path(__file__).parents[2]


@pytest.fixture
def picture(shop, open_page):
    """Open the picture of the owner of the first finding, which comes when its request is over."""

    def open_picture(path, **options):
        shop.get(path)
        link = open_page().locator("#findings [data-severity=error] .picture")
        expect(link).to_have_attribute("href", re.compile(r"/owners/\d+$"))
        return open_page(link.get_attribute("href"), **options)

    return open_picture


def test_a_finding_leads_to_the_picture_of_its_owner(shop, open_page):
    shop.get("/items/1")
    page = open_page()
    page.locator("#findings [data-severity=error] .picture").click()
    page.wait_for_url(re.compile(r"/debug/sessions/owners/\d+$"))
    expect(page.locator("h1")).to_have_text("GET /items/{number}")
    expect(page.locator("svg")).to_contain_text("still out")
    expect(page.locator("svg")).to_contain_text("SW101")
    expect(page.locator(".sentences")).to_contain_text("session 1: is opened, at ")
    page.get_by_role("link", name="All sessions").click()
    page.wait_for_url(re.compile(r"/debug/sessions$"))


def test_an_open_session_leads_there_too(shop, open_page):
    shop.get("/items/1")
    page = open_page()
    page.locator("#sessions .picture").click()
    expect(page.locator("figure.course")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_serious_with_the_picture(picture, scheme, width, serious):
    viewport = {"width": width, "height": 800}
    page = picture("/items/1", color_scheme=scheme, viewport=viewport)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_picture_of_a_hostile_name_stays_text(picture):
    page = picture("/%3C/script%3E%3Cimg%20src=x%20onerror=alert(1)%3E/x")
    expect(page.locator("h1")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    chosen = ["--variant=no-finally", "--variant=full", "--scenario=unhandled"]
    command = [sys.executable, "-m", "sessionwatch", "compare", *chosen, "--html", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=ROOT)
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_shows_the_evidence_of_the_cell_that_is_chosen(browser, report, scheme, serious):
    page = browser.new_page(color_scheme=scheme)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: wrong.append(request.url))
    page.goto(report.as_uri())
    expect(page.locator(".evidence > section:visible")).to_have_count(0)
    page.get_by_role("link", name="no-finally in unhandled: leak").click()
    expect(page.locator(".evidence > section:visible")).to_have_count(1)
    expect(page.locator("#no-finally-in-unhandled")).to_contain_text("never closed it")
    expect(page.locator("#no-finally-in-unhandled svg")).to_be_visible()
    assert serious(page) == []
    assert [each for each in wrong if not each.startswith(("file:", "data:"))] == []
    page.close()
