"""The create, read, update and delete of FastAPI's SQL tutorial, in plain SQLAlchemy."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Hero(Base):
    __tablename__ = "hero"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    age: Mapped[int | None]
    secret_name: Mapped[str]


class HeroCreate(BaseModel):
    name: str
    secret_name: str
    age: int | None = None


class HeroUpdate(BaseModel):
    name: str | None = None
    secret_name: str | None = None
    age: int | None = None


class HeroPublic(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    age: int | None


@pytest.fixture
def app(engine):
    Base.metadata.create_all(engine)
    app = FastAPI()

    def get_session():
        with Session(engine) as session:
            yield session

    SessionDep = Annotated[Any, Depends(get_session)]

    @app.post("/heroes", response_model=HeroPublic)
    def create_hero(hero: HeroCreate, session: SessionDep):
        created = Hero(**hero.model_dump())
        session.add(created)
        session.commit()
        session.refresh(created)
        return created

    @app.get("/heroes", response_model=list[HeroPublic])
    def read_heroes(
        session: SessionDep, offset: int = 0, limit: Annotated[int, Query(le=100)] = 100
    ):
        return session.scalars(select(Hero).order_by(Hero.id).offset(offset).limit(limit)).all()

    @app.get("/heroes/{hero_id}", response_model=HeroPublic)
    def read_hero(hero_id: int, session: SessionDep):
        return _existing(session, hero_id)

    @app.patch("/heroes/{hero_id}", response_model=HeroPublic)
    def update_hero(hero_id: int, hero: HeroUpdate, session: SessionDep):
        changed = _existing(session, hero_id)
        for name, value in hero.model_dump(exclude_unset=True).items():
            setattr(changed, name, value)
        session.commit()
        session.refresh(changed)
        return changed

    @app.delete("/heroes/{hero_id}")
    def delete_hero(hero_id: int, session: SessionDep):
        session.delete(_existing(session, hero_id))
        session.commit()
        return {"ok": True}

    return app


def _existing(session, hero_id):
    hero = session.get(Hero, hero_id)
    if hero is None:
        raise HTTPException(status_code=404, detail="Hero not found")
    return hero


DEADPOND = {"name": "Deadpond", "secret_name": "Dive Wilson"}


def test_one_by_one(visit, app):
    with visit(app) as client:
        created = client.post("/heroes", json=DEADPOND).json()
        assert created == {"id": 1, "name": "Deadpond", "age": None}
        assert client.get("/heroes").json() == [created]
        assert client.request("PATCH", "/heroes/1", json={"age": 30}).json()["age"] == 30
        assert client.get("/heroes/1").json()["age"] == 30
        assert client.request("DELETE", "/heroes/1").json() == {"ok": True}


def test_refusals(visit, app):
    with visit(app) as client:
        assert client.get("/heroes/1").status_code == 404
        assert client.request("PATCH", "/heroes/1", json={"age": 30}).status_code == 404
        assert client.request("DELETE", "/heroes/1").status_code == 404
        assert client.post("/heroes", json={"name": "nobody"}).status_code == 422
        assert client.get("/heroes?limit=1000").status_code == 422
        assert client.post("/heroes", json=DEADPOND).status_code == 200


def test_twenty_at_once(visit, app):
    with visit(app) as client:
        assert client.at_once(*[("POST", "/heroes", DEADPOND)] * 20) == [200] * 20
        reads = [("GET", f"/heroes/{number + 1}", None) for number in range(10)]
        changes = [("PATCH", f"/heroes/{number + 11}", {"age": number}) for number in range(10)]
        assert client.at_once(*reads, *changes) == [200] * 20
        missing = [("GET", f"/heroes/{number + 100}", None) for number in range(10)]
        deletions = [("DELETE", f"/heroes/{number + 1}", None) for number in range(10)]
        assert client.at_once(*missing, *deletions) == [404] * 10 + [200] * 10
        assert len(client.get("/heroes").json()) == 10
