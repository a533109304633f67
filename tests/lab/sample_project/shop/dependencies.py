"""Dependencies with dependencies, and with parameters of the request."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request
from sqlalchemy.orm import Session

from shop import database
from shop.database import get_db


def get_language(request: Request, accept_language: Annotated[str, Header()] = "en") -> str:
    return f"{request.url.path}: {accept_language}"


def get_tenant_session(
    language: Annotated[str, Depends(get_language)],
    db: Annotated[Session, Depends(get_db)],
    dry_run: Annotated[bool, Query()] = False,
):
    db.info["language"] = language
    yield db
    if dry_run:
        db.rollback()


def get_paying_session(api_key: Annotated[str, Header()], db: Session = Depends(get_db)):
    return db


def get_through_module():
    with database.SessionLocal() as db:
        yield db


SessionDependency = Annotated[Session, Depends(get_db)]
