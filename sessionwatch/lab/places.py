"""Where one worker's tables live: SQLite files in a temporary folder, or a PostgreSQL schema.

A place is made empty before each cell, can be read by a driver connection of the lab's own, and
leaves nothing behind when it is dropped.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from demo_app.database import enforce_foreign_keys
from demo_app.models import Base, create_tables, seed

from .database import Database
from .guard import LABS_OWN


class DriverConnection(Protocol):
    """What the evidence needs of a sqlite3 or psycopg connection."""

    def execute(self, statement: str, /) -> Any:
        """Run one statement and return its cursor."""

    def close(self) -> None:
        """Close the connection."""


class Place(Protocol):
    """One worker's corner of the database."""

    def url(self, *, is_async: bool) -> URL:
        """Where the demo app's engine connects; with is_async, through the async driver."""

    def connect_arguments(self, lock_seconds: float, *, is_async: bool) -> dict[str, Any]:
        """What that engine passes to its driver; SQLite waits so long for a lock."""

    def create(self) -> None:
        """Lay the tables and their starting rows."""

    def reset(self) -> None:
        """Put everything back to the starting rows, whatever the last cell left."""

    def connect(self) -> DriverConnection:
        """Open a connection through the driver alone, in autocommit."""

    def server_version(self) -> str:
        """The database's own version."""

    def drop(self) -> None:
        """Remove everything; may be called twice."""


def place_for(database: Database, folder: str, name: str) -> Place:
    """Return the place called `name` in that database; `folder` is where SQLite's files go."""
    if database.is_sqlite:
        return SqlitePlace(database, Path(folder) / name)
    from .postgres import PostgresPlace

    return PostgresPlace(database, name)


def check_access(database: Database) -> None:
    """Raise LabError when a server can't be reached or used; SQLite needs none."""
    if not database.is_sqlite:
        from . import postgres

        postgres.check_access(database)


class SqlitePlace:
    """A folder with a template file, of which every cell gets a copy under a new name."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._template = folder / "template.db"
        self._cell = 0

    @property
    def _file(self) -> Path:
        return self._folder / f"cell-{self._cell}.db"

    def url(self, *, is_async: bool) -> URL:
        """The current cell's file."""
        database = self._database if is_async else self._database.sync_twin
        return database.parsed.set(database=str(self._file))

    def connect_arguments(self, lock_seconds: float, *, is_async: bool) -> dict[str, Any]:
        """The time to wait for the write lock before `database is locked`."""
        return {"timeout": lock_seconds}

    def create(self) -> None:
        """Make the folder and the template."""
        self._folder.mkdir(parents=True)
        engine = create_engine(f"sqlite+pysqlite:///{self._template}", execution_options=LABS_OWN)
        lay_tables(engine)
        engine.dispose()

    def reset(self) -> None:
        """Give the next cell a file of its own: a leaked connection keeps the old one locked."""
        for leftover in self._folder.glob("cell-*"):
            leftover.unlink()
        self._cell += 1
        shutil.copyfile(self._template, self._file)

    def connect(self) -> DriverConnection:
        """Open the current cell's file through sqlite3."""
        return sqlite3.connect(self._file, isolation_level=None)

    def server_version(self) -> str:
        """The version of the SQLite library."""
        return sqlite3.sqlite_version

    def drop(self) -> None:
        """Delete the folder, and the run's folder around it if this was the last one in it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()


def lay_tables(engine: Any) -> None:
    """Create the demo app's tables and starting rows through a sync engine."""
    enforce_foreign_keys(engine)
    create_tables(engine)
    with engine.begin() as connection:
        seed(connection)


TABLES = tuple(table.name for table in Base.metadata.sorted_tables)
