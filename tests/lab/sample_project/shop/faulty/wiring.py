"""Sessions that can't be made on another database from outside."""

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from shop.database import SessionLocal, engine

Reading = sessionmaker(engine)
Writing = sessionmaker(engine)


def get_either(read_only: bool = True):
    with (Reading if read_only else Writing)() as db:
        yield db


def get_hidden():
    with Session(create_engine("sqlite+pysqlite:///production.db")) as db:
        yield db


def get_pair():
    with Reading() as reading, Writing() as writing:
        yield reading, writing


def get_bound_elsewhere():
    with SessionLocal(bind=engine) as db:
        yield db


def get_failing():
    db = SessionLocal()
    raise RuntimeError(f"no tenant for {type(db).__name__}")


def get_nothing():
    yield "no session"


class Holder:
    """Names its session through a property, so that nothing can be taken out of it."""

    __slots__ = ("_made",)

    def __init__(self):
        self._made = SessionLocal()


NUMBER = 5
