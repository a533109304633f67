"""The drawing and the words of a course: what stands left of what, and that both say the same."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionwatch.outlets.markup import markup
from sessionwatch.outlets.picture import figure
from sessionwatch.outlets.picture.axis import Axis
from sessionwatch.outlets.picture.drawing import LABELS, draw
from sessionwatch.outlets.picture.words import duration, sentences, summary

HOSTILE = "</title><script>alert(1)</script>"


def moment(at, kind, words="something", writes=0, place=None):
    return {"at": at, "kind": kind, "words": words, "place": place, "writes": writes}


def lane(kind, title, session, spans, *moments):
    plain = [{"from": since, "to": until, "state": state} for since, until, state in spans]
    return {
        "kind": kind,
        "title": title,
        "session": session,
        "spans": plain,
        "moments": list(moments),
    }


def make_course(*, committed=0.004, response=0.002, name="POST /items", **changes):
    """A request that commits at one moment and answers at another."""
    place = {"file": "app/db.py", "line": 7, "function": "get_db"}
    course = {
        "owner": {"id": 7, "name": name, "status": 200, "error": None, "kind": "request"},
        "began": "2026-01-01T00:00:00.000+00:00",
        "seconds": 0.006,
        "response_started": response,
        "ended": True,
        "sessions_left_out": 0,
        "lanes": [
            lane(
                "owner",
                name,
                None,
                [(0.0, 0.006, "running")],
                moment(response, "response", "the response starts: 200"),
                moment(0.006, "end", "ends"),
            ),
            lane("session", "session 1", 1, [(0.001, 0.005, "closed")], moment(0.001, "open")),
            lane(
                "transaction",
                "transaction",
                1,
                [(0.001, committed, "committed")],
                moment(committed, "commit", "1 write committed", 1, place),
            ),
            lane("connection", "connection", 1, [(0.001, committed, "returned")]),
        ],
        "findings": [
            {"at": committed, "code": "SW301", "severity": "warning", "message": "SW301: late"}
        ],
    }
    return {**course, **changes}


def x_of(svg, label):
    (found,) = (each for each in svg.iter("text") if each.text == label)
    return float(found.get("x"))


@pytest.mark.parametrize(("committed", "first"), [(0.004, "response 200"), (0.0015, "commit")])
def test_what_came_first_stands_to_the_left(committed, first):
    svg = draw(make_course(committed=committed), "title")
    second = {"response 200": "commit", "commit": "response 200"}[first]
    assert x_of(svg, first) < x_of(svg, second)
    (answer,) = (each for each in svg.iter("line") if each.get("class") == "answer")
    assert (x_of(svg, "commit") > float(answer.get("x1"))) is (first == "response 200")


def test_a_finding_stands_at_its_moment():
    svg = draw(make_course(), "title")
    (pin,) = (each for each in svg.iter("g") if each.get("class") == "pin warning")
    (commit,) = (each for each in svg.iter("line") if each.get("class") == "mark commit")
    assert pin.find("line").get("x1") == commit.get("x1")
    assert pin.find("text").text == "SW301"


def test_findings_of_one_moment_stand_below_each_other():
    findings = [
        {"at": 0.005, "code": code, "severity": "error", "message": code}
        for code in ("SW101", "SW202", "SW203")
    ]
    svg = draw(make_course(findings=findings), "title")
    pins = [each.find("text") for each in svg.iter("g") if each.get("class") == "pin error"]
    assert len({pin.get("y") for pin in pins}) == 3


def test_what_is_still_out_reaches_to_now_and_says_so():
    course = make_course(seconds=60.0)
    course["lanes"][3]["spans"][0].update(to=None, state="out")
    svg = draw(course, "title")
    assert "still out" in [each.text for each in svg.iter("text")]
    assert "1 connection is still out." in summary(course)


def test_no_label_overlaps_the_next_in_its_lane():
    moments = [moment(0.001 + n * 1e-7, "flush") for n in range(30)]
    course = make_course()
    course["lanes"][2]["moments"][:0] = moments
    svg = draw(course, "title")
    places = sorted(float(each.get("x")) for each in svg.iter("text") if each.text == "flush")
    assert len(places) == 30
    assert min(b - a for a, b in pairwise(places)) >= 35


def test_nothing_stands_outside_the_drawing():
    svg = draw(make_course(), "title")
    width, height = float(svg.get("width")), float(svg.get("height"))
    for each in svg.iter():
        for name in ("x", "x1", "x2"):
            assert 0 <= float(each.get(name, 0)) <= width
        for name in ("y", "y1", "y2"):
            assert 0 <= float(each.get(name, 0)) <= height


def test_every_named_moment_is_in_the_words_too():
    course = make_course()
    svg, words = draw(course, "title"), [each for _, each in sentences(course)]
    marks = [each for each in svg.iter("line") if each.get("class", "").startswith("mark ")]
    assert len(marks) == 2
    for mark in marks:
        assert any(mark.find("title").text in each for each in words)
    assert "session 1, transaction: 1 write committed, at app/db.py:7 in get_db" in words
    assert "SW301: late" in words
    description = svg.find("desc").text
    assert all(each in description for each in words)


@pytest.mark.parametrize(
    ("committed", "said"),
    [
        (0.004, "committed 2.00 ms after the response had started"),
        (0.0015, "committed 500 µs before the response started"),
    ],
)
def test_the_summary_says_what_came_first(committed, said):
    course = make_course(committed=committed)
    assert summary(course).startswith("POST /items answered 200 after 2.00 ms.")
    assert said in summary(course)


def test_sessions_that_are_left_out_are_told_of():
    assert "12 more sessions" in list(sentences(make_course(sessions_left_out=12)))[-1][1]


def test_no_text_is_markup():
    course = make_course(name=HOSTILE, findings=[{**make_course()["findings"][0]}])
    course["findings"][0]["message"] = HOSTILE
    course["lanes"][2]["moments"][0]["place"]["file"] = HOSTILE
    html = markup(figure(course))
    assert "<script" not in html
    parsed = ET.fromstring(html)
    assert HOSTILE in "".join(parsed.itertext())
    assert not re.search(r"\son\w+=", html)
    assert "style=" not in html


def test_what_utf_8_cannot_hold_becomes_a_question_mark():
    assert "caf?" in markup(figure(make_course(name="caf\udce9")))


def test_pictures_of_one_page_have_names_of_their_own():
    figures = [figure(make_course()), figure(make_course())]
    ids = [each.get("id") for root in figures for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids)) == 4


def test_every_label_has_an_element_that_names_it():
    for kind, label in LABELS.items():
        course = make_course()
        course["lanes"][1]["moments"] = [moment(0.003, kind)]
        shown = [each.text for each in draw(course, "title").iter("text")]
        assert any(text.startswith(label) for text in shown)


TIMES = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@given(st.lists(st.tuples(TIMES, st.floats(min_value=1, max_value=200)), min_size=1))
def test_the_axis_keeps_the_order_and_the_room(moments):
    axis = Axis(moments, left=100)
    rooms = {at: max(room for each, room in moments if each == at) for at, _ in moments}
    times = sorted(rooms)
    assert axis(times[0]) == 100
    for at, following in pairwise(times):
        assert axis(following) - axis(at) >= rooms[at] * (1 - 1e-9)
        between = (at + following) / 2
        assert axis(at) <= axis(between) <= axis(following)
    assert axis.right >= axis(times[-1])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (0.0000042, "4 µs"),
        (0.0123456, "12.35 ms"),
        (0.5, "500.0 ms"),
        (2.5, "2.50 s"),
        (3600, "3600 s"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
