"""Many rows at once, and objects that are merged, expunged, refreshed and versioned."""

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.orm.exc import StaleDataError


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(unique=True)
    balance: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


@pytest.fixture
def make_session(engine):
    Base.metadata.create_all(engine)
    return sessionmaker(engine)


@pytest.fixture
def accounts(make_session):
    with make_session.begin() as session:
        session.add_all(Account(owner=f"owner {number}") for number in range(50))


def test_thousands_of_rows(watch, make_session):
    with watch.owner("import"), make_session.begin() as session:
        session.add_all(Account(owner=str(number)) for number in range(3000))
        session.flush()
        assert session.scalar(select(func.count()).select_from(Account)) == 3000


def test_bulk_insert_with_returning(watch, make_session):
    rows = [{"owner": str(number), "version": 1} for number in range(2000)]
    with watch.owner("import"), make_session() as session:
        ids = session.scalars(insert(Account).returning(Account.id), rows).all()
        assert len(ids) == 2000
        session.commit()


def test_bulk_methods(watch, make_session):
    with watch.owner("import"), make_session.begin() as session:
        session.bulk_insert_mappings(Account, [{"owner": "a", "version": 1}])
        session.bulk_save_objects([Account(owner="b")])


def test_update_and_delete_by_statement(watch, make_session, accounts):
    with watch.owner("job"), make_session.begin() as session:
        session.execute(update(Account).where(Account.id > 10).values(balance=5))
        session.execute(delete(Account).where(Account.id > 20))
        assert session.scalar(select(func.sum(Account.balance))) == 50


def test_upsert(watch, make_session, accounts):
    add = sqlite_insert(Account).values(owner="owner 1", balance=7, version=1)
    add = add.on_conflict_do_update(index_elements=["owner"], set_={"balance": 7})
    with watch.owner("job"), make_session() as session:
        session.execute(add)
        session.commit()
        assert session.scalar(select(func.sum(Account.balance))) == 7


def test_merge_of_what_came_from_elsewhere(watch, make_session, accounts):
    with watch.owner("job"), make_session() as session:
        account = session.get(Account, 1)
        session.expunge(account)
        account.balance = 9
        merged = session.merge(account)
        session.commit()
        session.refresh(merged)
        assert merged.balance == 9
        session.expire(merged)
        assert merged.owner == "owner 0"


def test_optimistic_lock_that_somebody_else_won(watch, engine, make_session, accounts):
    """The loser has saved nothing, rolls back and tries again."""
    with watch.owner("loser"), Session(engine, expire_on_commit=False) as session:
        account = session.get(Account, 1)
        session.commit()
        with watch.owner("winner"), make_session.begin() as other:
            other.get(Account, 1).balance = 1
        account.balance = 2
        with pytest.raises(StaleDataError):
            session.commit()
        session.rollback()
        session.refresh(account)
        account.balance += 2
        session.commit()
        assert account.balance == 3


def test_many_sessions_of_one_owner(watch, make_session, accounts):
    with watch.owner("job"):
        for number in range(300):
            with make_session() as session:
                assert session.get(Account, number % 50 + 1)


def test_one_session_for_very_many_reads(watch, make_session, accounts):
    with watch.owner("job"), make_session() as session:
        for _ in range(300):
            session.scalars(select(Account)).first()
            session.rollback()


def test_iteration_in_pieces(watch, engine, accounts):
    with watch.owner("job"), Session(engine) as session:
        pieces = session.scalars(select(Account)).partitions(7)
        assert sum(len(piece) for piece in pieces) == 50
