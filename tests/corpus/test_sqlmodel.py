"""FastAPI's tutorial with SQLModel, and SQLModel's own tutorial on tests."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException

pytest.importorskip("sqlmodel")

from sqlalchemy.pool import StaticPool
from sqlmodel import Field, Session, SQLModel, create_engine, select


class Hero(SQLModel, table=True):
    __tablename__ = "sqlmodel_hero"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
    age: int | None = Field(default=None)
    secret_name: str


class HeroCreate(SQLModel):
    name: str
    age: int | None = None
    secret_name: str


class HeroUpdate(SQLModel):
    name: str | None = None
    age: int | None = None


class HeroPublic(SQLModel):
    id: int
    name: str
    age: int | None = None


def get_session():
    raise NotImplementedError("each program puts its own engine here")


SessionDep = Annotated[Any, Depends(get_session)]


@pytest.fixture
def app():
    app = FastAPI()

    @app.post("/heroes/", response_model=HeroPublic)
    def create(hero: HeroCreate, session: SessionDep):
        created = Hero.model_validate(hero)
        session.add(created)
        session.commit()
        session.refresh(created)
        return created

    @app.get("/heroes/", response_model=list[HeroPublic])
    def read_all(session: SessionDep):
        return session.exec(select(Hero)).all()

    @app.get("/heroes/{hero_id}", response_model=HeroPublic)
    def read(hero_id: int, session: SessionDep):
        hero = session.get(Hero, hero_id)
        if not hero:
            raise HTTPException(status_code=404, detail="Hero not found")
        return hero

    @app.patch("/heroes/{hero_id}", response_model=HeroPublic)
    def update(hero_id: int, hero: HeroUpdate, session: SessionDep):
        changed = read(hero_id, session)
        changed.sqlmodel_update(hero.model_dump(exclude_unset=True))
        session.add(changed)
        session.commit()
        session.refresh(changed)
        return changed

    @app.delete("/heroes/{hero_id}")
    def delete(hero_id: int, session: SessionDep):
        session.delete(read(hero_id, session))
        session.commit()
        return {"ok": True}

    return app


DEADPOND = {"name": "Deadpond", "secret_name": "Dive Wilson"}


@pytest.fixture
def client(visit, app, engine):
    """The tutorial as it stands: a session for each request."""
    SQLModel.metadata.create_all(engine)

    def session_of_the_request():
        with Session(engine) as session:
            yield session

    app.dependency_overrides[get_session] = session_of_the_request
    with visit(app) as client:
        yield client


def test_one_by_one(client):
    created = client.post("/heroes/", json=DEADPOND).json()
    assert client.get("/heroes/").json() == [created]
    assert client.request("PATCH", "/heroes/1", json={"age": 30}).json()["age"] == 30
    assert client.get("/heroes/1").json()["age"] == 30
    assert client.request("DELETE", "/heroes/1").json() == {"ok": True}
    assert client.get("/heroes/1").status_code == 404
    assert client.post("/heroes/", json={}).status_code == 422


def test_twenty_at_once(client):
    assert client.at_once(*[("POST", "/heroes/", DEADPOND)] * 20) == [200] * 20
    reads = [("GET", f"/heroes/{number}", None) for number in range(11, 31)]
    assert client.at_once(*reads) == [200] * 10 + [404] * 10
    changes = [("PATCH", f"/heroes/{number}", {"age": 1}) for number in range(1, 11)]
    deletions = [("DELETE", f"/heroes/{number}", None) for number in range(11, 21)]
    assert client.at_once(*changes, *deletions) == [200] * 20


@pytest.fixture
def session():
    """The tutorial on tests: one session, in memory, for the test and all its requests."""
    engine = create_engine(
        "sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool
    )
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def testing_client(visit, app, session):
    app.dependency_overrides[get_session] = lambda: session
    with visit(app) as client:
        yield client
    app.dependency_overrides.clear()


def test_session_of_the_test(testing_client, session):
    session.add(Hero(**DEADPOND))
    session.commit()
    assert testing_client.get("/heroes/1").json()["name"] == "Deadpond"
    assert testing_client.post("/heroes/", json=DEADPOND).json()["id"] == 2
    assert testing_client.request("DELETE", "/heroes/1").json() == {"ok": True}
    assert session.get(Hero, 1) is None
    assert testing_client.get("/heroes/1").status_code == 404
