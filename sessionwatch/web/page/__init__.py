"""The static page that a browser shows at `/debug/sessions`, and the headers that confine it."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from html import escape
from importlib import resources
from typing import NamedTuple

from sessionwatch.outlets.markup import markup
from sessionwatch.outlets.picture import Timeline, figure, palette, style

_PLACE = re.compile(r"<!-- (?P<html>\w+) -->|/\* (?P<code>\w+) \*/")


class Page(NamedTuple):
    """A whole page, and the headers that it is sent with."""

    html: str
    headers: dict[str, str]


@functools.cache
def sessions_page() -> Page:
    """Return the page that shows what the JSON says."""
    return _assembled("page.html", {}, script=_read("page.js"))


@functools.cache
def login_page(action: str, message: str = "") -> Page:
    """Return the form that asks for the token; `action` is where it is sent, from the page on."""
    return _assembled("login.html", {"action": escape(action), "message": escape(message)})


@functools.cache
def refusal_page(message: str) -> Page:
    """Return a page that says why there is none."""
    return _assembled("refusal.html", {"message": escape(message)})


def owner_page(timeline: Timeline, back: str) -> Page:
    """Return the picture of one owner; `back` is where the page of all sessions is."""
    owner = timeline["owner"]
    state = "over" if timeline["ended"] else "under way"
    facts = f"{owner['kind']} {owner['id']}, began {timeline['began']}, {state}"
    values = {
        "title": escape(owner["name"]),
        "back": escape(back),
        "facts": escape(facts),
        "figure": markup(figure(timeline)),
    }
    return _assembled("owner.html", values, more_style=style())


def _assembled(
    name: str, values: dict[str, str], *, more_style: str = "", script: str = ""
) -> Page:
    """Fill in a template at one go, so that no value is taken for a place to put another in.

    Its own style and script are all that it may run, and its own server's data all that it may
    load. What UTF-8 cannot hold becomes a question mark: a job may be named after a file.
    """
    rules = palette() + _read("page.css") + more_style
    values = {**values, "style": rules, "script": script}
    html = _PLACE.sub(lambda found: values.get(found["html"] or found["code"], ""), _read(name))
    html = html.encode(errors="replace").decode()
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script) if script else "'none'",
        "style-src": _hash(rules),
        "img-src": "data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return Page(
        html,
        {
            "Content-Security-Policy": "; ".join(map(" ".join, policy.items())),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
