"""A shop with a sync session for each request."""

import os
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine, event, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    sessionmaker,
)

engine = create_engine(f"sqlite:///shop-{os.environ.get('PYTEST_XDIST_WORKER', 'one')}.db")
SessionLocal = sessionmaker(engine)


@event.listens_for(engine, "connect")
def leave_begin_to_us(connection, entry):
    connection.isolation_level = None


@event.listens_for(engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN")


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    amount: Mapped[int]
    customer: Mapped[Customer] = relationship(back_populates="orders")


def get_db() -> Iterator[Session]:
    with SessionLocal() as session:
        yield session


Database = Annotated[Session, Depends(get_db)]
app = FastAPI()


@app.post("/customers/{name}", status_code=201)
def create_customer(name: str, db: Database):
    if db.scalar(select(Customer).where(Customer.name == name)):
        raise HTTPException(409)
    customer = Customer(name=name)
    db.add(customer)
    db.commit()
    return {"id": customer.id}


@app.post("/customers/{number}/orders/{amount}", status_code=201)
def create_order(number: int, amount: int, db: Database):
    customer = db.get(Customer, number)
    if customer is None:
        raise HTTPException(404)
    customer.orders.append(Order(amount=amount))
    db.commit()
    return {"orders": len(customer.orders)}


@app.get("/customers")
def read_customers(db: Database):
    return db.scalars(select(Customer.name).order_by(Customer.id)).all()
