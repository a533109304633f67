from shop.database import SessionLocal, engine

with engine.connect() as connection:
    VERSION = connection.exec_driver_sql("SELECT sqlite_version()").scalar()


def get_db():
    with SessionLocal() as db:
        yield db
