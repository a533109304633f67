import pytest
from shop import Customer, Order, SessionLocal
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError


def test_customer_is_created(client, session):
    assert client.post("/customers/bob").status_code == 201
    assert session.scalar(select(Customer.name)) == "bob"


def test_customers_start_empty(client):
    assert client.get("/customers").json() == []


def test_name_is_taken(client, customer):
    assert client.post("/customers/ann").status_code == 409


@pytest.mark.parametrize("amount", [1, 20, 300])
def test_order(client, customer, session, amount):
    assert client.post(f"/customers/{customer}/orders/{amount}").json() == {"orders": 1}
    assert session.scalar(select(func.sum(Order.amount))) == amount


def test_order_of_nobody(client):
    assert client.post("/customers/99/orders/1").status_code == 404


def test_constraint(session):
    session.add(Customer(name="cleo"))
    session.commit()
    session.add(Customer(name="cleo"))
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()
    assert session.scalar(select(func.count(Customer.id))) == 1


def test_savepoint(session):
    with session.begin_nested():
        session.add(Customer(name="dora"))
    session.add(Customer(name="emil"))
    session.flush()
    session.rollback()
    assert session.scalars(select(Customer.name)).all() == []


def test_another_session_sees_none_of_it(session):
    session.add(Customer(name="fred"))
    session.flush()
    with SessionLocal() as other:
        other.execute(select(1))


class TestMany:
    @pytest.fixture
    def customers(self, session):
        session.add_all(Customer(name=f"number {number}") for number in range(5))
        session.commit()

    def test_all(self, client, customers):
        assert len(client.get("/customers").json()) == 5

    def test_delete(self, session, customers):
        session.delete(session.scalars(select(Customer)).first())
        session.commit()
        assert session.scalar(select(func.count(Customer.id))) == 4
