"""Objects that outlive their session with all they need, and sessions that are used again."""

import pickle

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    make_transient,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)
from sqlalchemy.orm.exc import DetachedInstanceError


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship()


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


@pytest.fixture
def make_session(engine):
    Base.metadata.create_all(engine)
    make_session = sessionmaker(engine)
    with make_session.begin() as session:
        session.add(Author(name="Le Guin", books=[Book(title="Rocannon's World")]))
    return make_session


ONE = select(Author).options(selectinload(Author.books))


def test_object_that_was_loaded_whole(watch, make_session):
    with watch.owner("job"):
        with make_session() as session:
            author = session.scalars(ONE).one()
        assert [book.title for book in author.books] == ["Rocannon's World"]


def test_object_that_was_saved_and_not_expired(watch, engine):
    Base.metadata.create_all(engine)
    with watch.owner("job"):
        with Session(engine, expire_on_commit=False) as session:
            author = Author(name="Lem")
            session.add(author)
            session.commit()
        assert author.name == "Lem"


def test_pickled_object(watch, make_session):
    """A cache keeps the bytes, and gives the object back to a later job."""
    with watch.owner("first"), make_session() as session:
        cached = pickle.dumps(session.scalars(ONE).one())
    with watch.owner("second"):
        author = pickle.loads(cached)
        assert author.books[0].title == "Rocannon's World"
        with make_session() as session:
            merged = session.merge(author, load=False)
            assert merged in session


def test_object_that_is_cached_from_request_to_request(visit, make_session):
    cache = {}
    app = FastAPI()

    @app.get("/author", response_model=AuthorOut)
    def read():
        if "author" not in cache:
            with make_session() as session:
                cache["author"] = session.scalars(ONE).one()
        return cache["author"]

    with visit(app) as client:
        assert client.get("/author").json() == {"id": 1, "name": "Le Guin"}
        assert client.at_once(*[("GET", "/author", None)] * 20) == [200] * 20


def test_detached_object_that_is_noticed_and_loaded_again(watch, make_session):
    with watch.owner("job"):
        with make_session() as session:
            author = session.scalars(select(Author)).one()
        try:
            books = author.books
        except DetachedInstanceError:
            with make_session() as session:
                books = session.merge(author).books
                assert len(books) == 1


def test_request_that_handles_a_detached_object(visit, make_session):
    app = FastAPI()

    @app.get("/books")
    def read():
        with make_session() as session:
            author = session.scalars(select(Author)).one()
        try:
            return [book.title for book in author.books]
        except DetachedInstanceError:
            assert inspect(author).detached
        with make_session() as session:
            author = session.get(Author, author.id)
            return [book.title for book in author.books]

    with visit(app) as client:
        assert client.at_once(*[("GET", "/books", None)] * 10) == [200] * 10


def test_copy_of_an_object(watch, make_session):
    with watch.owner("job"):
        with make_session() as session:
            author = session.scalars(select(Author)).one()
        make_transient(author)
        author.id = None
        with make_session.begin() as session:
            session.add(author)
            session.flush()
            assert author.id == 2


def test_session_that_is_used_again_and_closed_again(watch, make_session):
    """By default a closed session is as good as new; whoever uses it again closes it again."""
    with watch.owner("job"):
        session = make_session()
        for _ in range(3):
            assert session.scalars(select(Author)).one()
            session.close()


def test_session_that_is_used_again_for_a_write(watch, make_session):
    with watch.owner("job"), make_session() as session:
        session.add(Author(name="Lem"))
        session.commit()
        session.close()
        session.add(Author(name="Strugatsky"))
        session.commit()


def test_session_that_stays_closed(watch, make_session, engine):
    with watch.owner("job"):
        session = Session(engine, close_resets_only=False)
        assert session.scalars(select(Author)).one()
        session.close()
        with pytest.raises(InvalidRequestError):
            session.scalars(select(Author)).one()


def test_session_that_is_reset_to_be_used_again(watch, make_session, engine):
    with watch.owner("job"):
        session = Session(engine, close_resets_only=False)
        for _ in range(3):
            assert session.scalars(select(Author)).one()
            session.reset()
        session.close()
