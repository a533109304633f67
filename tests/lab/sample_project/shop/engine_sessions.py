"""Sessions made on the engine itself, as SQLModel's tutorial has them."""

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

engine = create_engine("sqlite+pysqlite:///production.db")


def get_session():
    with Session(engine) as session:
        yield session


registry = scoped_session(sessionmaker(engine))


def get_registry():
    try:
        yield registry
    finally:
        registry.remove()
