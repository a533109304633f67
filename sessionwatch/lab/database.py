"""Which database a run uses: reads `--database-url` and asks for the driver it needs."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import LabError


@dataclass(frozen=True, slots=True)
class _Driver:
    name: str
    is_sync: bool
    is_async: bool
    modules: tuple[str, ...]
    extra: str
    """The extra of sessionwatch that installs the modules."""


_DRIVERS = (
    _Driver("sqlite+pysqlite", True, False, (), ""),
    _Driver("sqlite+aiosqlite", False, True, ("aiosqlite",), "async"),
    _Driver("postgresql+psycopg", True, True, ("psycopg",), "postgres"),
    # The evidence is always read through psycopg, whatever the application uses.
    _Driver("postgresql+asyncpg", False, True, ("asyncpg", "psycopg"), "postgres"),
)
_LIBPQ_QUERY = ("host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "service")
_BY_NAME = {driver.name: driver for driver in _DRIVERS}


@dataclass(frozen=True, slots=True)
class Database:
    """A database that the lab can use; `url` names its driver and may hold a password."""

    url: str
    is_async: bool

    @property
    def parsed(self) -> URL:
        """The URL as SQLAlchemy reads it."""
        return make_url(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite; otherwise it is PostgreSQL."""
        return self.parsed.get_backend_name() == "sqlite"

    @property
    def driver(self) -> str:
        """The name of the driver the demo app uses, such as `psycopg`."""
        return self.parsed.get_driver_name()

    @property
    def sync_twin(self) -> Database:
        """The same database through the sync driver."""
        name = "sqlite+pysqlite" if self.is_sqlite else "postgresql+psycopg"
        url = self.parsed.set(drivername=name)
        if self.driver == "asyncpg":
            url = url.set(query={key: url.query[key] for key in _LIBPQ_QUERY if key in url.query})
        return Database(url.render_as_string(hide_password=False), is_async=False)

    @property
    def label(self) -> str:
        """The URL with its password hidden."""
        return self.parsed.render_as_string(hide_password=True)


def choose_database(url: str | None, *, is_async: bool) -> Database:
    """Return the database of that URL, or an embedded SQLite; raise LabError if it can't serve."""
    parsed = _parse(url or "sqlite://")
    if parsed.drivername == "sqlite":
        parsed = parsed.set(drivername="sqlite+aiosqlite" if is_async else "sqlite+pysqlite")
    driver = _BY_NAME.get(parsed.drivername)
    if driver is None:
        raise LabError(_unknown_driver(parsed.drivername))
    _check_mode(driver, is_async)
    _check_modules(driver, is_async)
    if url is not None and driver.name.startswith("sqlite"):
        _check_names_a_file(parsed)
    return Database(parsed.render_as_string(hide_password=False), is_async)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise LabError(
            "--database-url is no SQLAlchemy URL: write it like "
            "postgresql+psycopg://user:password@localhost/name"
        ) from None


def _unknown_driver(name: str) -> str:
    if name in ("postgres", "postgresql"):
        return (
            "--database-url must name the driver, since postgresql:// means psycopg2 in "
            "SQLAlchemy 2.0 and psycopg in 2.1: write postgresql+psycopg:// or, with --async, "
            "postgresql+asyncpg://"
        )
    known = ", ".join(f"{driver.name}://" for driver in _DRIVERS)
    return f"--database-url: the lab has no evidence reader for {name}://, only for {known}"


def _check_mode(driver: _Driver, is_async: bool) -> None:
    if is_async and not driver.is_async:
        raise LabError(f"{driver.name} is a sync driver: leave --async out, or name an async one")
    if not is_async and not driver.is_sync:
        raise LabError(f"{driver.name} is an async driver: add --async")


def _check_modules(driver: _Driver, is_async: bool) -> None:
    if is_async:
        _check_import("greenlet", "--async", "async")
    for module in driver.modules:
        _check_import(module, driver.name, driver.extra)


def _check_import(module: str, wanted_by: str, extra: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError:
        raise LabError(
            f"{wanted_by} needs {module}, which can't be imported here: "
            f'run pip install "sessionwatch[{extra}]"'
        ) from None


def _check_names_a_file(parsed: URL) -> None:
    if not parsed.database or parsed.database == ":memory:" or "uri" in parsed.query:
        raise LabError(
            "--database-url: an in-memory SQLite can't be read from outside: name a file, "
            "as in sqlite:///some/folder/lab.db, or leave the option out"
        )
