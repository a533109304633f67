"""Question 2's four ways to declare a route, each as an app that FastAPI may or may not accept.

Annotations are real objects here, not strings: FastAPI reads those of the closures below.
"""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from demo_app.models import Item

from .scenarios import FORM_LETTERS, FORM_PATH


def class_as_dependency(create_session: Callable[[], Session]) -> FastAPI:
    """A: Depends on SQLAlchemy's class rather than on a function."""
    app = FastAPI()

    @app.get(FORM_PATH)
    def read_items(db=Depends(Session)) -> int:  # type: ignore[no-untyped-def]  # noqa: B008
        return _count_items(db)

    return app


def instance_as_default(create_session: Callable[[], Session]) -> FastAPI:
    """B: annotates with the function and defaults to one session for all requests."""
    app = FastAPI()
    get_db = _get_db(create_session)

    @app.get(FORM_PATH)
    def read_items(db: get_db = Session()) -> int:  # type: ignore[valid-type]  # noqa: B008
        return _count_items(db)

    return app


def called_not_injected(create_session: Callable[[], Session]) -> FastAPI:
    """C: calls the function when the route is declared."""
    app = FastAPI()
    get_db = _get_db(create_session)

    @app.get(FORM_PATH)
    def read_items(db: Session = get_db()) -> int:  # type: ignore[assignment]  # noqa: B008
        return _count_items(db)

    return app


def injected(create_session: Callable[[], Session]) -> FastAPI:
    """D: lets FastAPI call the function for each request."""
    app = FastAPI()
    get_db = _get_db(create_session)

    @app.get(FORM_PATH)
    def read_items(db: Session = Depends(get_db)) -> int:  # noqa: B008
        return _count_items(db)

    return app


FORMS: dict[str, Callable[[Any], FastAPI]] = dict(
    zip(
        FORM_LETTERS,
        (class_as_dependency, instance_as_default, called_not_injected, injected),
        strict=True,
    )
)


def _get_db(create_session: Callable[[], Session]) -> Callable[[], Iterator[Session]]:
    def get_db() -> Iterator[Session]:
        db = create_session()
        try:
            yield db
        finally:
            db.close()

    return get_db


def _count_items(db: Session) -> int:
    return db.scalar(select(func.count()).select_from(Item)) or 0
