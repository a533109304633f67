"""SW503 engine-churn: requests create engines, each with a pool of its own."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import EngineMade
from sessionwatch.records.redaction import shown_url
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
def count_items():
    own_engine = create_engine(engine.url)
    with Session(own_engine) as session:
        return len(session.scalars(select(Item)).all())


@app.get("/before")
def before():
    return {"items": count_items()}


@app.get("/after")
def after():
    return {"items": count_items()}
"""
_CORRECT = """\
own_engine = create_engine(engine.url)


def count_items():
    with Session(own_engine) as session:
        return len(session.scalars(select(Item)).all())


@app.get("/before")
def before():
    return {"items": count_items()}


@app.get("/after")
def after():
    return {"items": count_items()}
"""

RULE = Rule(
    code="SW503",
    name="engine-churn",
    evidence=Evidence.SUSPECT,
    severity=Severity.WARNING,
    cause=(
        "`create_engine` is called for each request. Every engine has a pool of its own, so that "
        "no connection is ever used again, and the database meets a new client each time, until "
        "it refuses them."
    ),
    fix=(
        "Create the engine once, when the application starts or the module is imported, and have "
        "the requests share it."
    ),
    fine=(
        "An engine that the first request creates and all later ones use is created once and "
        "gives no finding, nor does one for each tenant's own URL, nor the engines of tests and "
        "jobs."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)
INCIDENT = EngineMade


def check(made: EngineMade) -> Iterator[Finding]:
    """Find an engine that a request has created after another of the same URL."""
    if made.earlier is None:
        return
    url = shown_url(made.url)
    yield RULE.finding(
        made.owner,
        f"{made.owner.label} created an engine for {url}{at(made.at)}; a request had created "
        f"one for it before{at(made.earlier)}",
        made.at,
        details={"url": url, "first_created": at(made.earlier).removeprefix(" at ")},
    )
