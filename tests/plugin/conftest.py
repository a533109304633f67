"""Small projects with tests of their own, which pytest runs with the plugin."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

# Before pytester, which forgets modules that a run in this process has imported: who keeps some of
# them would meet those of the next run.
import fastapi  # noqa: F401
import pytest

import sessionwatch
import sessionwatch.rules.catalog
from sessionwatch.instruments.attribution import recorders

PROJECT = str(Path(sessionwatch.__file__).resolve().parents[1])

SHOP = """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.pool import QueuePool

engine = create_engine("sqlite:///{file}", poolclass=QueuePool)
SessionLocal = sessionmaker(engine)
ONE = select(1)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


Base.metadata.create_all(engine)


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def get_leaky_db():
    db = SessionLocal()
    yield db
    db.close()


@app.get("/items/{{number}}")
def read_item(number: int, db: Session = Depends(get_db)):
    db.execute(ONE)
    return number


@app.get("/leak")
def leak(db: Session = Depends(get_leaky_db)):
    db.execute(ONE)
    raise HTTPException(404)


@app.post("/items/{{name}}")
def create_item(name: str, db: Session = Depends(get_db)):
    db.add(Item(name=name))
    db.commit()
    return name


@app.post("/half/{{name}}")
def create_half(name: str, db: Session = Depends(get_db)):
    db.add(Item(name=name))
    db.commit()
    db.add(Item(name=name))
    db.flush()
    raise HTTPException(500)


kept = []


def open_and_keep():
    session = SessionLocal()
    session.execute(ONE)
    kept.append(session)
"""


class Outcome:
    """How a run of pytest ended, and what it printed."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text

    @property
    def leaking(self) -> list[str]:
        """The tests that failed in teardown, for what they leaked."""
        return sorted(set(re.findall(r"^ERROR (\S+::\S+) - Failed: sessionwatch", self.text, re.M)))

    @property
    def counts(self) -> dict[str, int]:
        """What the last line says: passed, failed, errors."""
        last = [line for line in self.text.splitlines() if re.search(r" in [\d.]+s", line)][-1]
        return {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) (\w+)", last)}

    def __contains__(self, text: str) -> bool:
        return text in self.text


@pytest.fixture
def shop(pytester: pytest.Pytester) -> Callable[..., Outcome]:
    """Write tests for a small shop, and run them: `shop(source, *options)`.

    In a process of their own where they need plugins, or leave something behind (`apart`).
    """
    (pytester.path / "shop.py").write_text(SHOP.format(file=pytester.path / "shop.db"))
    (pytester.path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")

    def run(
        source: str | None,
        *options: str,
        asked: str = "--sessionwatch",
        plugins: Collection[str] = (),
        apart: bool = False,
    ) -> Outcome:
        if source is not None:
            (pytester.path / "test_shop.py").write_text(HEAD + source)
        unwanted = [each for name in PLUGINS - {*plugins} for each in ("-p", f"no:{name}")]
        options = (*unwanted, *filter(None, [asked]), *options)
        if plugins or apart:
            result = pytester.run(sys.executable, "-m", "pytest", *options)
        else:
            result = pytester.runpytest_inprocess(*options)
        return Outcome(result.ret, "\n".join(result.outlines + result.errlines))

    return run


HEAD = "import pytest, threading, gc\nfrom shop import *\n\n"
PLUGINS = {"randomly", "asyncio", "xdist", "rerunfailures", "forked"} | {
    "anyio",
    "hypothesispytest",
    "schemathesis",
    "playwright",
    "cacheprovider",
}
"""What a run does without, unless it is what is tried."""


@pytest.fixture(autouse=True)
def _can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the project's pytest find this checkout, and print the same whether this one is in CI."""
    monkeypatch.setenv("PYTHONPATH", PROJECT, prepend=os.pathsep)
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture(autouse=True)
def _nobody_goes_on_watching() -> Iterator[None]:
    """A run in this process leaves no watch behind."""
    yield
    assert recorders() == []
