"""The older tutorial: `SessionLocal`, `get_db` with `finally`, functions that commit."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    things: Mapped[list["Thing"]] = relationship(back_populates="owner")


class Thing(Base):
    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    owner: Mapped[User] = relationship(back_populates="things")


class UserIn(BaseModel):
    email: str


class ThingIn(BaseModel):
    title: str


def get_user_by_email(db, email):
    return db.scalars(select(User).where(User.email == email)).first()


def create_user(db, email):
    user = User(email=email)
    db.add(user)
    db.commit()
    db.refresh(user)
    return user


def create_thing(db, owner, title):
    thing = Thing(title=title, owner=owner)
    db.add(thing)
    db.commit()
    db.refresh(thing)
    return thing


@pytest.fixture
def session_local(engine):
    Base.metadata.create_all(engine)
    return sessionmaker(autocommit=False, autoflush=False, bind=engine)


@pytest.fixture
def app(session_local):
    app = FastAPI()

    def get_db():
        db = session_local()
        try:
            yield db
        finally:
            db.close()

    Db = Annotated[Any, Depends(get_db)]

    @app.post("/users")
    def post_user(user: UserIn, db: Db):
        if get_user_by_email(db, user.email):
            raise HTTPException(status_code=400, detail="Email already registered")
        return {"id": create_user(db, user.email).id}

    @app.post("/users/{user_id}/things")
    def post_thing(user_id: int, thing: ThingIn, db: Db):
        user = db.get(User, user_id)
        if user is None:
            raise HTTPException(status_code=404, detail="User not found")
        return {"id": create_thing(db, user, thing.title).id}

    @app.get("/users/{user_id}")
    def get_user(user_id: int, db: Db):
        user = db.get(User, user_id)
        if user is None:
            raise HTTPException(status_code=404, detail="User not found")
        return {"email": user.email, "things": [thing.title for thing in user.things]}

    return app


def test_one_by_one(visit, app):
    with visit(app) as client:
        assert client.post("/users", json={"email": "a@b.c"}).json() == {"id": 1}
        assert client.post("/users", json={"email": "a@b.c"}).status_code == 400
        assert client.post("/users/1/things", json={"title": "hat"}).json() == {"id": 1}
        assert client.post("/users/2/things", json={"title": "hat"}).status_code == 404
        assert client.get("/users/1").json() == {"email": "a@b.c", "things": ["hat"]}
        assert client.post("/users", json={}).status_code == 422


def test_twenty_at_once(visit, app):
    with visit(app) as client:
        users = [("POST", "/users", {"email": f"{number}@b.c"}) for number in range(20)]
        assert client.at_once(*users) == [200] * 20
        again = [("POST", "/users", {"email": f"{number}@b.c"}) for number in range(10)]
        things = [("POST", f"/users/{number + 1}/things", {"title": "hat"}) for number in range(10)]
        assert client.at_once(*again, *things) == [400] * 10 + [200] * 10
        reads = [("GET", f"/users/{number + 1}", None) for number in range(25)]
        assert client.at_once(*reads) == [200] * 20 + [404] * 5
