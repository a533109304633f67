"""The evidence: what the demo app's tables hold, read by a driver with no SQLAlchemy between."""

from __future__ import annotations

from dataclasses import dataclass

from .places import DriverConnection


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database holds at one moment, as far as the invariants are about it."""

    orders: int
    """Orders with the cell's reference."""
    audits: int
    """Audit rows, which the background task writes in a session of its own."""
    items: int
    money: int
    """The sum of all balances: a transfer must never change it."""
    orders_without_line: int
    """Each accepted order has its line."""
    audits_without_order: int
    """An audit row tells of an order, which should be there."""

    def half_done_since(self, before: Rows) -> bool:
        """Whether work was saved in part: an invariant that held before is broken."""
        return self.money != before.money or self.orders_without_line > before.orders_without_line

    def order_saved_since(self, before: Rows) -> bool:
        """Whether what the handler itself wrote, an order or a transfer, was saved."""
        return self.orders > before.orders or self.money != before.money


_STATEMENTS = {
    "audits": "SELECT count(*) FROM audit_entries",
    "items": "SELECT count(*) FROM items",
    "money": "SELECT sum(balance) FROM accounts",
    "orders_without_line": (
        "SELECT count(*) FROM orders WHERE NOT EXISTS "
        "(SELECT 1 FROM order_lines WHERE order_lines.order_id = orders.id)"
    ),
    "audits_without_order": (
        "SELECT count(*) FROM audit_entries WHERE NOT EXISTS "
        "(SELECT 1 FROM orders WHERE orders.reference = audit_entries.reference)"
    ),
}


def read_rows(connection: DriverConnection, reference: str) -> Rows:
    """Count what is there now, and the orders that carry this reference."""
    counts = {name: _count(connection, statement) for name, statement in _STATEMENTS.items()}
    references = connection.execute("SELECT reference FROM orders").fetchall()
    return Rows(orders=references.count((reference,)), **counts)


def _count(connection: DriverConnection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])
