"""The same as the drawing, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Timeline = Mapping[str, Any]


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 60 else f"{seconds:.0f} s"


def sentences(timeline: Timeline) -> Iterator[tuple[str, str]]:
    """Return each moment and what happened then, in order."""
    said = [
        (moment["at"], 0, _sentence(lane, moment))
        for lane in timeline["lanes"]
        for moment in lane["moments"]
    ]
    said += [(finding["at"], 1, finding["message"]) for finding in timeline["findings"]]
    for at, _, words in sorted(said, key=lambda each: each[:2]):
        yield duration(at), words
    if timeline["sessions_left_out"]:
        yield "", f"{timeline['sessions_left_out']} more sessions are not shown."


def summary(timeline: Timeline) -> str:
    """Say in one or two sentences what matters most: the answer, and what was saved before it."""
    owner = timeline["owner"]
    parts = [f"{owner['name']} {_answer(timeline)}."]
    parts += [f"{words}." for words in _commits(timeline)]
    left = sum(
        lane["kind"] == "connection" and any(span["to"] is None for span in lane["spans"])
        for lane in timeline["lanes"]
    )
    if left:
        parts.append(f"{left} {'connection is' if left == 1 else 'connections are'} still out.")
    return " ".join(parts)


def _answer(timeline: Timeline) -> str:
    owner = timeline["owner"]
    if timeline["response_started"]:
        return f"answered {owner['status']} after {duration(timeline['response_started'])}"
    if not timeline["ended"]:
        return f"has been under way for {duration(timeline['seconds'])}"
    after = f"after {duration(timeline['lanes'][0]['spans'][0]['to'])}"
    if owner["error"] is None:
        return f"ended {after}"
    unanswered = ", before any response" if owner["kind"] == "request" else ""
    return f"ended with {owner['error']} {after}{unanswered}"


_TOLD = {
    "commit": "The work of session {} was committed",
    "commit fails": "The commit of session {} failed",
    "rollback": "The work of session {} was rolled back",
    "discarded": "The work of session {} was discarded",
}


def _commits(timeline: Timeline) -> Iterator[str]:
    """Say of each transaction that did anything what became of it, before or after the answer."""
    answered = timeline["response_started"]
    for lane in timeline["lanes"]:
        if lane["kind"] != "transaction":
            continue
        for moment in lane["moments"]:
            if moment["writes"] and moment["kind"] in _TOLD:
                told = _TOLD[moment["kind"]].format(lane["session"])
                yield told + _order(moment["at"], answered)


def _order(at: float, answered: float) -> str:
    if not answered:
        return f" after {duration(at)}"
    if at < answered:
        return f" {duration(answered - at)} before the response started"
    return f" {duration(at - answered)} after the response had started"


def _sentence(lane: Mapping[str, Any], moment: Mapping[str, Any]) -> str:
    place = moment["place"]
    where = f", at {place['file']}:{place['line']} in {place['function']}" if place else ""
    return f"{_subject(lane)}: {moment['words']}{where}"


def _subject(lane: Mapping[str, Any]) -> str:
    if lane["session"] is None or lane["kind"] == "session":
        return str(lane["title"])
    return f"session {lane['session']}, {lane['title']}"
