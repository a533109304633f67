"""The engine, the session factory, and the dependency that hands each request its session."""

from collections.abc import Iterator

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker


def enforce_foreign_keys(engine: Engine) -> None:
    """Have SQLite check foreign keys, which it does only when each connection asks for it."""
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def ask(connection, record) -> None:  # type: ignore[no-untyped-def]
            cursor = connection.cursor()
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()


engine = create_engine("sqlite:///./test.db")
enforce_foreign_keys(engine)

SessionLocal = sessionmaker(autocommit=False, autoflush=False, bind=engine)


def get_db() -> Iterator[Session]:
    """Open a session for one request, and close it however the request ends."""
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
