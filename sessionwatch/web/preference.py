"""Whether a client would rather have a page or JSON."""

from __future__ import annotations

_PAGE, _JSON = "text/html", "application/json"


def prefers_page(accept: str) -> bool:
    """Whether an `Accept` header names HTML, and JSON less; `*/*`, as of curl, means JSON."""
    qualities: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        qualities[kind] = _quality(parameters)
    page = qualities.get(_PAGE, 0.0)
    return page > qualities.get(_JSON, 0.0)


def _quality(parameters: list[str]) -> float:
    """Return the `q` of a media type: 1 where there is none, and 0 where it is no number."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
