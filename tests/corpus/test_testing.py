"""How applications are tested: one session for all requests of a test, one engine per test."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    pass


class Hero(Base):
    __tablename__ = "hero"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def get_session():
    raise NotImplementedError("the application's own database is not for tests")


SessionDep = Annotated[Any, Depends(get_session)]


@pytest.fixture
def app():
    app = FastAPI()

    @app.post("/heroes/{name}")
    def create(name: str, session: SessionDep):
        hero = Hero(name=name)
        session.add(hero)
        session.commit()
        session.refresh(hero)
        return {"id": hero.id}

    @app.get("/heroes")
    def read(session: SessionDep):
        return session.scalars(select(Hero.name)).all()

    return app


@pytest.fixture
def memory_engine():
    engine = create_engine(
        "sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool
    )
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(memory_engine):
    with Session(memory_engine) as session:
        yield session


@pytest.fixture
def client(visit, app, session):
    app.dependency_overrides[get_session] = lambda: session
    with visit(app) as client:
        yield client
    app.dependency_overrides.clear()


def test_one_session_for_several_requests(client, session):
    session.add(Hero(name="Deadpond"))
    session.commit()
    assert client.get("/heroes").json() == ["Deadpond"]
    assert client.post("/heroes/Rusty-Man").json() == {"id": 2}
    assert client.get("/heroes").json() == ["Deadpond", "Rusty-Man"]
    assert len(session.scalars(select(Hero)).all()) == 2


def test_generator_override(visit, app, session):
    def override():
        yield session

    app.dependency_overrides[get_session] = override
    with visit(app) as client:
        assert client.post("/heroes/Deadpond").json() == {"id": 1}
        assert client.get("/heroes").json() == ["Deadpond"]


def test_session_for_each_request_on_the_tests_engine(visit, app, memory_engine):
    def override():
        with Session(memory_engine) as session:
            yield session

    app.dependency_overrides[get_session] = override
    with visit(app) as client:
        assert client.post("/heroes/Deadpond").json() == {"id": 1}
        assert client.get("/heroes").json() == ["Deadpond"]


@pytest.mark.parametrize("name", ["first", "second"])
def test_engine_of_a_test_that_is_an_owner(watch, name):
    """Every test has a database in memory, under the same URL as every other's."""
    for number in range(3):
        with watch.owner(f"test_{name}_{number}", kind="test"):
            engine = create_engine("sqlite://", poolclass=StaticPool)
            Base.metadata.create_all(engine)
            with Session(engine) as session:
                session.add(Hero(name=name))
                session.commit()
                assert session.scalars(select(Hero.name)).all() == [name]
            engine.dispose()


def test_requests_of_a_test_that_is_an_owner(watch, app, session, client):
    """The test's session is opened outside of each request, and used inside of it."""
    with watch.owner("test_heroes", kind="test"), Session(session.bind) as own:
        app.dependency_overrides[get_session] = lambda: own
        assert client.post("/heroes/Deadpond").json() == {"id": 1}
        assert client.get("/heroes").json() == ["Deadpond"]
