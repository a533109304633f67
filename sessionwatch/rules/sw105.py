"""SW105 detached-access: an instance was asked for what only its session could have loaded."""

from __future__ import annotations

from collections.abc import Iterator

from sessionwatch.records.incident import DetachedAccess
from sessionwatch.rules.rule import Evidence, Finding, Rule, Severity
from sessionwatch.rules.words import at

_BROKEN = """\
with SessionLocal.begin() as session:
    session.add(Item(name="hammer"))


@app.get("/first")
def first_item():
    with SessionLocal() as session:
        item = session.scalars(select(Item)).first()
        session.commit()
    return {"name": item.name}
"""
_CORRECT = """\
with SessionLocal.begin() as session:
    session.add(Item(name="hammer"))


@app.get("/first")
def first_item():
    with SessionLocal() as session:
        item = session.scalars(select(Item)).first()
        session.commit()
        return {"name": item.name}
"""

RULE = Rule(
    code="SW105",
    name="detached-access",
    evidence=Evidence.PROOF,
    severity=Severity.WARNING,
    cause=(
        "The session was closed, and an instance of it was asked for what had not been loaded, or "
        "had been expired by the commit. SQLAlchemy raises DetachedInstanceError then, and the "
        "owner failed with it."
    ),
    fix=(
        "Read what the answer needs while the session is open: load relationships eagerly with "
        "`selectinload`, build the response model before the session closes, or use "
        "`sessionmaker(expire_on_commit=False)` if only the commit has expired the values."
    ),
    fine=(
        "Code that catches the error itself, or an exception handler that answers for it, gives "
        "no finding."
    ),
    broken=_BROKEN,
    correct=_CORRECT,
)
INCIDENT = DetachedAccess


def check(access: DetachedAccess) -> Iterator[Finding]:
    """Find an error about a detached instance that nobody caught."""
    yield RULE.finding(
        access.owner,
        f"{access.owner.label} failed{_as_what(access)} on {_what(access)}{at(access.at)}, "
        "which no session held any more",
        access.at,
        details={"model": access.model, "attribute": access.attribute},
    )


def _what(access: DetachedAccess) -> str:
    model = access.model or "an instance"
    if access.attribute is not None:
        return f"{model}.{access.attribute}"
    return f"expired values of {model}" if access.model else model


def _as_what(access: DetachedAccess) -> str:
    return f" with {access.wrapped_in}" if access.wrapped_in is not None else ""
