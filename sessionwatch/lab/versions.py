"""The versions that a run's results hold for."""

from __future__ import annotations

import platform
from importlib.metadata import version

from sessionwatch import __version__

from .database import Database

_DRIVER_PACKAGES = ("aiosqlite", "psycopg", "asyncpg")


def versions(database: Database, server: str) -> dict[str, str]:
    """Return name and version of everything that decides the outcome, in reading order.

    `server` is the version that the database itself tells.
    """
    packages = {"FastAPI": "fastapi", "Starlette": "starlette", "SQLAlchemy": "sqlalchemy"}
    packages.update({name: name for name in _DRIVER_PACKAGES if name == database.driver})
    found = {"sessionwatch": __version__}
    found.update({name: version(package) for name, package in packages.items()})
    found["SQLite" if database.is_sqlite else "PostgreSQL"] = server
    return {**found, "Python": platform.python_version()}
