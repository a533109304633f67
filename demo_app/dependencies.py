"""The ways to write `get_db`: these functions are the lesson.

Each is handed a session factory, and its body is what is shown and judged. What is wrong with which
of them stands in `variants`.
"""

# ruff: noqa: D103, N803
# They read as in the quiz, without annotations.
# mypy: disable-error-code="no-untyped-def"


def no_finally(SessionLocal):
    def get_db():
        db = SessionLocal()
        yield db
        db.close()

    return get_db


def full(SessionLocal):
    def get_db():
        db = SessionLocal()
        try:
            yield db
            db.commit()
        except:
            db.rollback()
            raise
        finally:
            db.close()

    return get_db


def commit_unhandled(SessionLocal):
    def get_db():
        db = SessionLocal()
        yield db
        db.commit()
        db.close()

    return get_db


def close_only(SessionLocal):
    def get_db():
        db = SessionLocal()
        try:
            yield db
        finally:
            db.close()

    return get_db


def rollback_no_finally(SessionLocal):
    def get_db():
        db = SessionLocal()
        yield db
        db.rollback()
        db.close()

    return get_db


def no_yield(SessionLocal):
    def get_db():
        return SessionLocal()

    return get_db


def begin(SessionLocal):
    def get_db():
        with SessionLocal.begin() as db:
            yield db

    return get_db


def with_session(SessionLocal):
    def get_db():
        with SessionLocal() as db:
            yield db

    return get_db
