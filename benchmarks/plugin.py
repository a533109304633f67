"""What `pytest --sessionwatch` adds to a suite of trivial database tests.

    python -m benchmarks.plugin [--tests N] [--pairs N]

Writes such suites (2,000 tests by default), runs pytest on each with and without the plugin, both
at once on one core (7 pairs after a first that is not counted), and prints the processor time of
the whole process as a multiple of the run without: the median of the pairs, the least and the
most. Needs Linux.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

_HEAD = """
import warnings

import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

engine = create_engine(
    "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
)
"""
_MODEL = """

class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
"""
_TABLES = """

Base.metadata.create_all(engine)
"""
_SESSION = """

@pytest.fixture
def session():
    with Session(engine) as session:
        yield session
"""
_SAVEPOINT = """

@event.listens_for(engine, "connect")
def connect(connection, entry):
    connection.isolation_level = None  # or the driver would begin by itself, and too late


@event.listens_for(engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN")


@pytest.fixture
def session():
    with engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()
"""
_APPLICATION = """
from fastapi import Depends, FastAPI

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

app = FastAPI()


def get_db():
    with Session(engine) as session:
        yield session
"""
_ONE_CLIENT = """

client = TestClient(app)


@app.post("/users/{name}")
def add(name: str, session: Session = Depends(get_db)) -> None:
    session.add(User(name=name))
    session.commit()
"""
_READS = """

def test_{number}():
    with Session(engine) as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
"""
_WRITES = """

def test_{number}(session):
    session.add(User(name="user {number}"))
    session.commit()
    assert session.scalars(select(User).where(User.name == "user {number}")).one().id
"""
_ASKS = """

def test_{number}():
    assert client.post("/users/{number}").status_code == 200
"""
_DOCUMENTED = """

@app.post("/users/{name}")
def add(name: str, session: Session = Depends(get_db)) -> int:
    user = User(name=name)
    session.add(user)
    session.commit()
    session.refresh(user)
    return user.id


@pytest.fixture
def session():
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def client(session):
    app.dependency_overrides[get_db] = lambda: session
    yield TestClient(app)
    app.dependency_overrides.clear()
"""
_ASKS_AS_DOCUMENTED = """

def test_{number}(client):
    assert client.post("/users/{number}").json() == 1
"""
SUITES = {
    "one SELECT": (_HEAD, _READS),
    "INSERT, commit, SELECT": (_HEAD + _MODEL + _TABLES + _SESSION, _WRITES),
    "the same in a savepoint": (_HEAD + _SAVEPOINT + _MODEL + _TABLES, _WRITES),
    "a request that INSERTs": (_HEAD + _MODEL + _TABLES + _APPLICATION + _ONE_CLIENT, _ASKS),
    "as SQLModel's documentation has it": (
        _HEAD + _MODEL + _APPLICATION + _DOCUMENTED,
        _ASKS_AS_DOCUMENTED,
    ),
}
_TESTS_IN_A_FILE = 100
_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
"""Has Python keep what it compiles, which the run that is not counted does for all others."""


def write_suite(folder: Path, head: str, test: str, tests: int) -> None:
    """Write that many tests, a hundred in a file."""
    for first in range(0, tests, _TESTS_IN_A_FILE):
        numbers = range(first, min(first + _TESTS_IN_A_FILE, tests))
        source = head + "".join(test.replace("{number}", str(number)) for number in numbers)
        (folder / f"test_{first}.py").write_text(source)


def ratio(folder: Path, *, watched_first: bool = False) -> float:
    """Return how much processor time a run with the plugin takes for each second of one without.

    Both run at once on one core, where the system has them take turns every few milliseconds: so
    both meet a machine that is as busy. It stays as busy for the one that takes longer: had it the
    core for itself at its end, what it takes longer would cost half as much as the rest. Raises
    `ClickException` unless all tests pass.
    """
    watched, bare = _Run(folder, "watched", "--sessionwatch"), _Run(folder, "bare")
    for run in (watched, bare) if watched_first else (bare, watched):
        run.start()
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    company = _Run(folder, "company")
    company.start()
    watched.wait()
    bare.wait()
    company.kill()
    return watched.seconds() / bare.seconds()


class _Run:
    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self._folder = folder
        self._command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        self._output = folder / f"{name}.txt"

    def start(self) -> None:
        with self._output.open("w") as output:
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                cwd=self._folder,
                env=_ENVIRONMENT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        _, status, self._used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def seconds(self) -> float:
        if self._process.returncode:
            printed = self._output.read_text()
            raise click.ClickException(f"{' '.join(self._command)} failed:\n{printed}")
        return self._used.ru_utime + self._used.ru_stime


@click.command()
@click.option("--tests", default=2_000, show_default=True, type=click.IntRange(1))
@click.option("--pairs", default=7, show_default=True, type=click.IntRange(1))
def main(tests: int, pairs: int) -> None:
    """Measure every suite with and without the plugin, both at once."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    for name, (head, test) in SUITES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_suite(Path(folder), head, test, tests)
            ratios = [
                ratio(Path(folder), watched_first=bool(each % 2)) for each in range(pairs + 1)
            ]
        median = statistics.median(ratios[1:])
        click.echo(f"{name}: {median:.3f} ({min(ratios[1:]):.3f} to {max(ratios[1:]):.3f})")


if __name__ == "__main__":
    main()
