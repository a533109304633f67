"""What the shop keeps: items, orders with their lines, accounts, and an audit trail.

Two things must always be true. Money moves between accounts, so the sum of all balances never
changes; and every accepted order has at least one line.
"""

from sqlalchemy import Connection, Engine, ForeignKey, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What all tables have in common."""


class Item(Base):
    """Something that is for sale."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Account(Base):
    """Somebody's money, in whole coins."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    balance: Mapped[int]


class Order(Base):
    """An order, under the reference that its customer gave it."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str]


class OrderLine(Base):
    """One thing that was ordered.

    That its order exists is checked as late as possible: by COMMIT, which can therefore fail.
    """

    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(
        ForeignKey("orders.id", deferrable=True, initially="DEFERRED")
    )
    item: Mapped[str]


class AuditEntry(Base):
    """A note, made after the answer was sent, that an order came in."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str]


def create_tables(engine: Engine) -> None:
    """Create the tables that are not there yet."""
    Base.metadata.create_all(engine)


def seed(connection: Connection) -> None:
    """Stock the empty shop: three items, and two customers with a hundred coins each."""
    names = ("apple", "bread", "cheese")
    connection.execute(insert(Item), [{"name": name} for name in names])
    customers = ("alice", "bob")
    connection.execute(insert(Account), [{"name": name, "balance": 100} for name in customers])
