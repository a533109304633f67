"""The sync half: one engine, one SessionLocal, and the usual ways to hand a session out."""

from contextlib import contextmanager

from sqlalchemy import String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("sqlite+pysqlite:///production.db")
SessionLocal = sessionmaker(engine, autoflush=False)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


# As a first tutorial has it: the tables are laid while the module is imported.
Base.metadata.create_all(bind=engine)
print("shop.database is imported")  # noqa: T201

commits = []


@event.listens_for(SessionLocal, "after_commit")
def note_commit(session):
    commits.append(session.info)


def get_db():
    db = SessionLocal()
    try:
        yield db
        db.commit()
    except Exception:
        db.rollback()
        raise
    finally:
        db.close()


def get_db_leaking():
    db = SessionLocal()
    yield db
    db.close()


def open_session() -> Session:
    return SessionLocal()


@contextmanager
def session_scope():
    with SessionLocal.begin() as db:
        yield db


class SessionProvider:
    """A dependency with settings, as `Depends(SessionProvider(...))`."""

    def __init__(self, factory):
        self.factory = factory

    def __call__(self):
        with self.factory() as db:
            yield db


provide = SessionProvider(SessionLocal)


class Repository:
    """A class as a dependency: FastAPI gives handlers an instance of it."""

    def __init__(self):
        self.session = SessionLocal()


class UnitOfWork:
    """A context manager written as a class that commits."""

    def __init__(self):
        self.session = SessionLocal()

    def __enter__(self):
        return self.session

    def __exit__(self, kind, error, traceback):
        try:
            if kind is None:
                self.session.commit()
            else:
                self.session.rollback()
        except Exception:
            self.session.rollback()
            raise
        finally:
            self.session.close()


def get_unit_of_work():
    with UnitOfWork() as db:
        yield db


def get_in_scope():
    """A dependency within a scope that scripts use, too."""
    with session_scope() as db:
        yield db


class SessionContext:
    """A context manager written as a class."""

    def __enter__(self):
        self.session = SessionLocal()
        return self.session

    def __exit__(self, kind, error, traceback):
        self.session.close()
