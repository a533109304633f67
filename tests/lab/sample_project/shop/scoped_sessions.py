"""One session for each thread, though FastAPI may run the two halves of a dependency in two."""

from sqlalchemy.orm import scoped_session

from shop.database import SessionLocal

CurrentSession = scoped_session(SessionLocal)


def get_current_session():
    try:
        yield CurrentSession()
        CurrentSession.commit()
    finally:
        CurrentSession.remove()
