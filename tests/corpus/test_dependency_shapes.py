"""Sessions that come through nested, uncached, class, router-wide and app-wide dependencies."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from sqlalchemy import select


@pytest.fixture
def get_db(make_session):
    def get_db():
        with make_session() as db:
            yield db

    return get_db


@pytest.fixture
def user(make_session, models):
    with make_session.begin() as db:
        db.add(models.Item(name="anna"))
    return {"authorization": "anna"}


@pytest.fixture
def get_current_user(get_db, models):
    def get_current_user(
        db: Annotated[Any, Depends(get_db)], authorization: Annotated[str, Header()] = ""
    ):
        user = db.scalar(select(models.Item).where(models.Item.name == authorization))
        if user is None:
            raise HTTPException(status_code=401, detail="who are you?")
        return user

    return get_current_user


def test_one_session_for_the_user_and_the_handler(
    visit, get_db, get_current_user, user, models, rows
):
    app = FastAPI()

    @app.post("/mine")
    def mine(db: Annotated[Any, Depends(get_db)], user: Annotated[Any, Depends(get_current_user)]):
        assert user in db
        db.add(models.Item(name=f"thing of {user.name}"))
        db.commit()
        return {"user": user.name}

    with visit(app) as client:
        assert client.post("/mine", headers=user).json() == {"user": "anna"}
        assert client.at_once(*[("POST", "/mine", None)] * 20) == [401] * 20
    assert rows() == 2


def test_two_sessions_one_after_the_other(visit, get_db, models, rows):
    app = FastAPI()

    def count(db: Annotated[Any, Depends(get_db, use_cache=False)]):
        number = len(db.scalars(select(models.Item)).all())
        db.rollback()
        return number

    @app.post("/items/{name}")
    def add(
        name: str,
        before: Annotated[int, Depends(count)],
        db: Annotated[Any, Depends(get_db, use_cache=False)],
    ):
        db.add(models.Item(name=name))
        db.commit()
        return {"before": before}

    with visit(app) as client:
        assert client.post("/items/a").json() == {"before": 0}
        assert client.post("/items/b").json() == {"before": 1}
        names = [("POST", f"/items/{number}", None) for number in range(20)]
        assert client.at_once(*names) == [200] * 20
    assert rows() == 22


def test_repository_class(visit, get_db, models, rows):
    class Items:
        def __init__(self, db: Annotated[Any, Depends(get_db)]):
            self.db = db

        def add(self, name):
            self.db.add(models.Item(name=name))
            self.db.commit()

    app = FastAPI()

    @app.post("/items/{name}")
    def add(name: str, items: Annotated[Any, Depends(Items)]):
        items.add(name)
        return {"name": name}

    with visit(app) as client:
        assert client.at_once(*[("POST", f"/items/{n}", None) for n in range(20)]) == [200] * 20
    assert rows() == 20


def test_checks_of_a_router_and_of_the_application(visit, get_db, get_current_user, user):
    def is_reachable(db: Annotated[Any, Depends(get_db)]):
        db.execute(select(1))

    app = FastAPI(dependencies=[Depends(is_reachable)])
    router = APIRouter(prefix="/private", dependencies=[Depends(get_current_user)])

    @router.get("/page")
    def page():
        return {}

    @app.get("/public")
    def public():
        return {}

    app.include_router(router)
    with visit(app) as client:
        assert client.get("/private/page", headers=user).status_code == 200
        pages = [("GET", path, None) for path in ("/private/page", "/public")]
        assert client.at_once(*pages * 10) == [401, 200] * 10


def test_dependency_that_returns_a_factory(visit, make_session, models, rows):
    """Nothing is opened before the handler opens it itself."""
    app = FastAPI()

    @app.post("/items/{name}")
    def add(name: str, factory: Annotated[Any, Depends(lambda: make_session)]):
        with factory.begin() as db:
            db.add(models.Item(name=name))
        return {"name": name}

    with visit(app) as client:
        assert client.post("/items/a").status_code == 200
    assert rows() == 1


def test_dependency_that_refuses_before_and_after_its_query(visit, get_db, models):
    app = FastAPI()

    def checked(name: str, db: Annotated[Any, Depends(get_db)]):
        if name == "early":
            raise HTTPException(status_code=403)
        db.execute(select(1))
        if name == "late":
            raise HTTPException(status_code=403)
        try:
            yield db
        finally:
            db.execute(select(2))

    @app.get("/{name}")
    def read(name: str, db: Annotated[Any, Depends(checked)]):
        if name == "handler":
            raise HTTPException(status_code=404)
        return {}

    names = ("early", "late", "handler", "fine")
    with visit(app) as client:
        answers = client.at_once(*[("GET", f"/{name}", None) for name in names * 5])
    assert answers == [403, 403, 404, 200] * 5
