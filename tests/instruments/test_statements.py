"""Statements and writes, held against what the engine's own events count."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import bindparam, delete, insert, literal, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

TEXT_WRITES = [
    "INSERT INTO item (name) VALUES ('new')",
    "insert into item (name) values ('new')",
    "\n  UPDATE item SET name = 'b' WHERE name = 'a'",
    "DELETE FROM item",
    "REPLACE INTO item (id, name) VALUES (1, 'b')",
    "INSERT INTO item (name) VALUES ('new') RETURNING id",
    "UPDATE item SET name = 'b' RETURNING id",
    "DELETE FROM item RETURNING id",
    "WITH source AS (SELECT 'new' AS name) INSERT INTO item (name) SELECT name FROM source",
    "/* hint */ UPDATE item SET name = 'b'",
    "-- why\nUPDATE item SET name = 'b'",
]
TEXT_READS = [
    "SELECT * FROM item",
    "  select 'INSERT INTO item' ",
    "WITH one AS (SELECT 1) SELECT * FROM one",
    "WITH one AS (SELECT 'insert, update, delete' AS name) SELECT name AS \"update\" FROM one",
    "PRAGMA foreign_keys",
    "UPDATE item SET name = 'b' WHERE name = 'nobody'",
    "DELETE FROM item WHERE name = 'nobody'",
]


@pytest.fixture
def session(engine, models, watch):
    with Session(engine) as session:
        session.add(models.Item(name="a"))
        session.commit()
        yield session


@pytest.fixture
def writes(seen, session):
    """How many writes there were since the test began."""
    before = seen.totals["writes"]
    return lambda: seen.totals["writes"] - before


@pytest.mark.parametrize("run", ["execute", "scalars", "exec_driver_sql"])
@pytest.mark.parametrize("statement", TEXT_WRITES)
def test_textual_write_counts(session, writes, statement, run):
    if run == "exec_driver_sql":
        session.connection().exec_driver_sql(statement)
    elif run == "execute" or "RETURNING" not in statement:
        session.execute(text(statement))
    else:
        session.scalars(text(statement)).all()
    assert writes() == 1


@pytest.mark.parametrize("statement", TEXT_READS)
def test_textual_statement_that_changes_no_row_is_no_write(session, writes, statement):
    session.execute(text(statement))
    session.connection().exec_driver_sql(statement)
    assert writes() == 0


def test_constructed_writes_count(session, writes, models):
    item = models.Item
    session.execute(insert(item).values(name="b"))
    session.execute(insert(item), [{"name": "c"}, {"name": "d"}])
    session.execute(update(item).where(item.name == "b").values(name="e"))
    session.execute(update(item).where(item.name == "c").values(name="f").returning(item.id)).all()
    session.execute(delete(item).where(item.name == "e"))
    session.execute(delete(item).where(item.name == "f").returning(item.id)).all()
    session.scalar(insert(item).values(name="g").returning(item.id))
    session.connection().execute(insert(item.__table__).values(name="h"))
    session.query(item).filter_by(name="h").update({"name": "i"})
    session.query(item).filter_by(name="i").delete()
    assert writes() == 10


def test_constructed_statements_that_change_no_row_are_no_writes(session, writes, models):
    item = models.Item
    session.execute(select(item))
    session.execute(update(item).where(item.name == "nobody").values(name="b"))
    session.execute(delete(item).where(item.name == "nobody"))
    nothing = select(literal("b")).where(literal(1) == 0)
    session.execute(insert(item.__table__).from_select(["name"], nothing))
    known = sqlite.insert(item).values(name="a")
    session.execute(known.on_conflict_do_nothing())
    assert writes() == 0


def test_insert_that_meets_a_conflict_and_changes_the_row_is_a_write(session, writes, models):
    known = sqlite.insert(models.Item).values(name="a")
    session.execute(known.on_conflict_do_update(index_elements=["name"], set_={"name": "b"}))
    session.execute(known.on_conflict_do_nothing())
    assert writes() == 2


def test_flushes_count_as_their_statements_do(seen, session, writes, tally, models):
    first, second = models.Item(name="b"), models.Item(name="c")
    session.add(first)
    session.flush()
    session.add(second)
    first.name = "d"
    session.flush()
    session.delete(second)
    session.commit()
    assert writes() == 4
    assert seen.counts("flushes") == {"flushes": 4}


def test_flush_with_nothing_to_do_is_none(seen, session):
    before = seen.counts("flushes")
    session.flush()
    session.commit()
    assert seen.counts("flushes") == before


def test_statements_are_those_of_the_engine(seen, savepoint_engine, make_tally, models):
    tally = make_tally(savepoint_engine)
    with Session(savepoint_engine) as session:
        session.add_all(models.Item(name=str(number)) for number in range(3))
        session.flush()
        with session.begin_nested():
            session.add(models.Item(name="nested"))
        session.scalars(select(models.Item)).all()
        session.scalar(select(models.Item.name))
        session.get(models.Item, 1, populate_existing=True)
        session.execute(text("SELECT 1"))
        session.connection().scalar(text("SELECT 1"))
        session.connection().exec_driver_sql("UPDATE item SET name = name || '!'")
        session.commit()
    assert tally["writes"] >= 3
    assert seen.counts("statements", "writes") == {
        "statements": tally["statements"],
        "writes": tally["writes"],
    }


def test_failed_statement_counts_and_is_no_write(seen, session, writes, tally):
    before = seen.totals["statements"]
    with pytest.raises(IntegrityError):
        session.execute(text("INSERT INTO item (name) VALUES ('a')"))
    with pytest.raises(OperationalError):
        session.execute(text("SELECT nonsense"))
    assert writes() == 0
    assert seen.totals["statements"] - before == tally["statements"] == 2


def test_failed_statement_of_a_core_connection_counts(seen, engine, tally):
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT nonsense"))
    assert seen.counts("statements") == {"statements": tally["statements"]}
    assert tally["statements"] == 1


def test_statement_by_keyword(seen, engine):
    with engine.connect() as connection:
        connection.execute(statement=text("SELECT :one"), parameters={"one": 1})
        connection.scalar(statement=text("SELECT 1"))
        connection.exec_driver_sql(statement="SELECT 1")
    assert seen.counts("statements") == {"statements": 3}


def test_data_definition_is_no_write(seen, session, writes, engine, models):
    session.execute(text("CREATE TABLE extra (id INTEGER)"))
    models.Base.metadata.create_all(session.connection())
    assert writes() == 0


@pytest.mark.parametrize(
    "run",
    [
        lambda session: session.execute(text("SELECT :secret"), {"secret": "hush"}),
        lambda session: session.scalar(text("SELECT :secret"), {"secret": "hush"}),
        lambda session: session.scalars(text("SELECT :secret"), {"secret": "hush"}).all(),
    ],
    ids=["execute", "scalar", "scalars"],
)
def test_last_statement_is_kept_without_parameters(seen, session, run):
    run(session)
    (shown,) = seen.snapshot.open_sessions
    assert shown["last_statement"] in ("SELECT ?", "SELECT :secret")
    assert "hush" not in str(seen.snapshot.to_dict())


LONG_TEXTS = """
    "\\n" + 200 * " " + "SELECT 1",
    200 * " \\n\\t" + "SELECT 1",
    200 * "-- why\\n  " + "SELECT 1",
    200 * "/* why */ " + "SELECT 1",
    "/*" * 2000,
    "WITH one AS (SELECT 1) SELECT " + "(" * 2000,
    "WITH one AS (" + 2000 * "\\n  " + "SELECT 1) SELECT 1",
    "WITH " + 500 * "one AS ( SELECT 1 ), " + "two AS (SELECT 2) SELECT 1",
"""


def test_no_text_takes_long_to_look_at():
    """Looking at a statement is done inside the application's call; it must not backtrack."""
    program = f"""
from sessionwatch.instruments.statements import _changes_rows
for statement in [{LONG_TEXTS}]:
    assert not _changes_rows(statement, statement, None), statement[:40]
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_indented_text(session, writes):
    """As triple-quoted SQL stands in code."""
    session.execute(
        text(
            """
                    UPDATE item
                       SET name = 'b'
            """
        )
    )
    assert writes() == 1


def test_result_is_the_users_own(session, models):
    session.execute(insert(models.Item).values(name="b"))
    result = session.execute(select(models.Item.name).order_by(models.Item.name))
    assert result.scalars().all() == ["a", "b"]
    assert session.execute(update(models.Item).values(name=models.Item.name + "!")).rowcount == 2


def test_literal_values_that_are_written_into_the_sql_are_not_shown(seen, session, models):
    secret = bindparam("secret", "hush", literal_execute=True)
    session.execute(select(models.Item).where(models.Item.name == secret))
    (shown,) = seen.snapshot.open_sessions
    assert "hush" not in shown["last_statement"]
