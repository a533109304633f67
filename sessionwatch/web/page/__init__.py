"""The static page that a browser shows at `/debug/sessions`, and the headers that confine it."""

from __future__ import annotations

import base64
import functools
import hashlib
from html import escape
from importlib import resources
from typing import NamedTuple


class Page(NamedTuple):
    """A whole page, and the headers that it is sent with."""

    html: str
    headers: dict[str, str]


@functools.cache
def sessions_page() -> Page:
    """Return the page that shows what the JSON says."""
    return _assembled(_read("page.html"), _read("page.css"), _read("page.js"))


@functools.cache
def login_page(action: str, message: str = "") -> Page:
    """Return the form that asks for the token; `action` is where it is sent, from the page on."""
    html = _read("login.html").replace("/* action */", escape(action))
    return _assembled(html.replace("<!-- message -->", escape(message)), _read("page.css"))


@functools.cache
def refusal_page(message: str) -> Page:
    """Return a page that says why there is none."""
    html = _read("refusal.html").replace("<!-- message -->", escape(message))
    return _assembled(html, _read("page.css"))


def _assembled(html: str, style: str, script: str = "") -> Page:
    """Put style and script into a page; they are all that it may run, and its own server's
    data all that it may load.
    """
    html = html.replace("/* style */", style).replace("/* script */", script)
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script) if script else "'none'",
        "style-src": _hash(style),
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
