"""The evidence reader on real tables, changed behind SQLAlchemy's back."""

import sqlite3
from dataclasses import replace

import pytest

from sessionwatch.lab.database import choose_database
from sessionwatch.lab.evidence import read_rows
from sessionwatch.lab.places import place_for


@pytest.fixture
def place(tmp_path):
    place = place_for(choose_database(None, is_async=False), str(tmp_path / "run"), "place")
    place.create()
    place.reset()
    yield place
    place.drop()


@pytest.fixture
def connection(place):
    connection = place.connect()
    yield connection
    connection.close()


def test_the_starting_rows_break_no_invariant(connection):
    rows = read_rows(connection, "mine")

    assert rows.orders == rows.audits == 0
    assert rows.money == 200
    assert rows.items > 0
    assert not rows.half_done_since(rows)
    assert not rows.order_saved_since(rows)


def test_only_the_order_with_the_reference_counts(connection, insert_order):
    before = read_rows(connection, "mine")
    insert_order(connection, "somebody else's")
    assert not read_rows(connection, "mine").order_saved_since(before)

    insert_order(connection, "mine")
    after = read_rows(connection, "mine")

    assert after.order_saved_since(before)
    assert not after.half_done_since(before)


def test_an_order_without_its_line_is_half_done(connection, insert_order):
    before = read_rows(connection, "mine")
    insert_order(connection, "mine", lines=0)

    assert read_rows(connection, "mine").half_done_since(before)


def test_an_audit_row_may_stand_without_its_order(connection):
    connection.execute("INSERT INTO audit_entries (reference) VALUES ('mine')")

    rows = read_rows(connection, "mine")

    assert (rows.audits, rows.audits_without_order) == (1, 1)


def test_half_a_transfer_is_half_done(connection):
    before = read_rows(connection, "mine")
    connection.execute("UPDATE accounts SET balance = balance - 30 WHERE name = 'alice'")

    after = read_rows(connection, "mine")

    assert after == replace(before, money=170)
    assert after.half_done_since(before)
    assert after.order_saved_since(before)


def test_a_whole_transfer_is_not(connection):
    before = read_rows(connection, "mine")
    connection.execute("UPDATE accounts SET balance = balance - 30 WHERE name = 'alice'")
    connection.execute("UPDATE accounts SET balance = balance + 30 WHERE name = 'bob'")

    assert not read_rows(connection, "mine").half_done_since(before)


def test_a_locked_cell_does_not_lock_the_next(place):
    leaked = sqlite3.connect(place.url(is_async=False).database, isolation_level=None)
    leaked.execute("BEGIN IMMEDIATE")

    place.reset()
    connection = place.connect()
    connection.execute("DELETE FROM items")
    leaked.close()

    assert read_rows(connection, "mine").items == 0
    connection.close()


def test_a_dropped_place_leaves_nothing(place, tmp_path):
    assert list(tmp_path.iterdir()) != []

    place.drop()
    place.drop()

    assert list(tmp_path.iterdir()) == []
