"""Read replicas, binds by class, and work that spans two databases."""

import random

import pytest
from sqlalchemy import Delete, Update, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Bill(Base):
    __tablename__ = "bills"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]


@pytest.fixture
def engines(make_engine, tmp_path):
    """A primary and a replica; in this program one file plays both."""
    url = f"sqlite:///{tmp_path}/orders.db"
    primary, replica = make_engine(url), make_engine(url)
    Base.metadata.create_all(primary)
    return primary, replica


@pytest.fixture
def other_engine(make_engine, tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/bills.db")
    Base.metadata.create_all(engine)
    return engine


def test_session_that_routes_reads_to_a_replica(watch, engines):
    primary, replica = engines

    class RoutingSession(Session):
        def get_bind(self, mapper=None, clause=None, **options):
            if self._flushing or isinstance(clause, Update | Delete):
                return primary
            return replica

    make_session = sessionmaker(class_=RoutingSession)
    with watch.owner("job"):
        with make_session() as session:
            session.add(Order(title="hat"))
            session.commit()
        with make_session() as session:
            assert session.scalars(select(Order.title)).all() == ["hat"]


def test_reader_and_writer_of_one_request(watch, engines):
    """Two connections at the same time, out of two pools."""
    primary, replica = engines
    with watch.owner("job"), Session(primary) as writer, Session(replica) as reader:
        known = reader.scalars(select(Order)).all()
        writer.add(Order(title=f"order {len(known)}"))
        writer.commit()


def test_one_of_several_replicas(watch, engines):
    with watch.owner("job"):
        for _ in range(10):
            with Session(random.choice(engines)) as session:
                assert session.scalars(select(Order)).all() == []


def test_binds_by_class(watch, engines, other_engine):
    make_session = sessionmaker(binds={Order: engines[0], Bill: other_engine})
    with watch.owner("job"), make_session() as session:
        order = Order(title="hat")
        session.add(order)
        session.flush()
        session.add(Bill(order_id=order.id))
        session.commit()
        assert len(session.scalars(select(Order)).all()) == 1
        assert len(session.scalars(select(Bill)).all()) == 1


def test_copy_from_one_database_to_another(watch, engines, other_engine):
    with Session(engines[0]) as session, session.begin():
        session.add_all(Order(title=str(number)) for number in range(5))
    with watch.owner("copy"), Session(engines[0]) as source, Session(other_engine) as target:
        for order in source.scalars(select(Order).execution_options(yield_per=2)):
            target.add(Bill(order_id=order.id))
        target.commit()
    with Session(other_engine) as session:
        assert len(session.scalars(select(Bill)).all()) == 5


def test_bind_arguments_of_one_statement(watch, engines, other_engine):
    with watch.owner("job"), Session(engines[0]) as session:
        session.execute(select(Bill), bind_arguments={"bind": other_engine}).all()
        session.execute(select(Order)).all()
