"""The PostgreSQL place: a schema of the lab's own, watched and cleaned through psycopg."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from demo_app.models import seed

from .database import Database
from .errors import LabError, first_line
from .guard import LABS_OWN
from .places import TABLES, DriverConnection, lay_tables

_CONNECT_TIMEOUT_SECONDS = 5


def connect(database: Database, **options: Any) -> psycopg.Connection[Any]:
    """Open an autocommitting psycopg connection to what a SQLAlchemy URL names."""
    url = database.sync_twin.parsed
    arguments: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
        **url.query,
    }
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    return psycopg.connect(
        autocommit=True, connect_timeout=_CONNECT_TIMEOUT_SECONDS, **given, **options
    )


def check_access(database: Database) -> None:
    """Raise LabError when the server can't be reached or lets us create no schema."""
    try:
        with connect(database) as connection:
            asked = connection.execute(
                "SELECT has_database_privilege(current_database(), 'CREATE')"
            )
            (allowed,) = asked.fetchone() or (False,)
    except psycopg.Error as error:
        raise LabError(
            f"can't connect to {database.label} ({first_line(error)}): "
            "start the server, or correct --database-url"
        ) from None
    if not allowed:
        raise LabError(
            f"no right to create a schema in {database.label}: "
            "GRANT CREATE ON DATABASE to this user, or name another database"
        )


class PostgresPlace:
    """A schema that one worker owns; its name is also the application name of its connections."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._schema = schema

    def url(self, *, is_async: bool) -> URL:
        """The database, as the user named it or through psycopg."""
        return (self._database if is_async else self._database.sync_twin).parsed

    def connect_arguments(self, lock_seconds: float, *, is_async: bool) -> dict[str, Any]:
        """The schema to work in, as psycopg or asyncpg is told it."""
        if is_async and self._database.driver == "asyncpg":
            settings = {"search_path": self._schema, "application_name": self._schema}
            return {"server_settings": settings}
        return {"options": f"-csearch_path={self._schema}", "application_name": self._schema}

    def create(self) -> None:
        """Make the schema and lay the tables in it."""
        with connect(self._database) as connection:
            connection.execute(f'CREATE SCHEMA "{self._schema}"')
        engine = self._laying_engine()
        lay_tables(engine)
        engine.dispose()

    def reset(self) -> None:
        """End connections that the last cell left, then put back the starting rows."""
        with connect(self._database) as connection:
            self._end_leftovers(connection)
            tables = ", ".join(f'"{self._schema}"."{name}"' for name in TABLES)
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
        engine = self._laying_engine()
        with engine.begin() as seeding:
            seed(seeding)
        engine.dispose()

    def connect(self) -> DriverConnection:
        """Open a reading connection whose search path is the schema."""
        return connect(self._database, options=f"-csearch_path={self._schema}")

    def server_version(self) -> str:
        """The version of the PostgreSQL server, without the packager's remarks."""
        with connect(self._database) as connection:
            (version,) = connection.execute("SHOW server_version").fetchone() or ("unknown",)
        return str(version).split()[0]

    def drop(self) -> None:
        """Drop the schema with all that is in it."""
        with connect(self._database) as connection:
            self._end_leftovers(connection)
            connection.execute(f'DROP SCHEMA IF EXISTS "{self._schema}" CASCADE')

    def _laying_engine(self) -> Any:
        arguments = self.connect_arguments(0, is_async=False)
        return create_engine(
            self.url(is_async=False), connect_args=arguments, execution_options=LABS_OWN
        )

    def _end_leftovers(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = %s AND pid <> pg_backend_pid()",
            (self._schema,),
        )
