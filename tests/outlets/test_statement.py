"""SQL as it is shown: whatever might be a value is a question mark."""

from __future__ import annotations

import pytest

from sessionwatch.outlets.statement import shown_statement


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT 'ada', 'O''Hara'", "SELECT ?, ?"),
        ("SELECT * FROM t WHERE a = 12 AND b = -1.5e3", "SELECT * FROM t WHERE a = ? AND b = -?"),
        ("SELECT x'C0FFEE', 0xC0FFEE, .5, t.a1", "SELECT x?, ?, ?, t.a1"),
        ("SELECT ''", "SELECT ?"),
        ("SELECT $$it's$$, $body$ $$ ada $body$", "SELECT ?, ?"),
        ('SELECT "Ada Lovelace", "ada@example.org"', "SELECT ?, ?"),
        ("SELECT 1 /* for ada */ + 2 -- and 'bob\n, 3", "SELECT ?  + ? \n, ?"),
        (r"SELECT 'C:\temp'", "SELECT ?"),
    ],
)
def test_literals_and_comments_are_not_shown(text, shown):
    assert shown_statement(text, 500) == shown


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a_1.id, t2.name FROM item AS a_1, t2 WHERE a_1.id = :id_1 AND t2.x = ?",
        "SELECT %(name_1)s, %s, $1::VARCHAR, @p1, ?2",
        'SELECT "order"."from", `the order`.`it\'s` FROM "order"',
        "SELECT id FROM item WHERE id IN (__[POSTCOMPILE_id_1])",
    ],
)
def test_names_and_placeholders_are_shown(text):
    assert shown_statement(text, 500) == text


@pytest.mark.parametrize(
    "text",
    [
        r"SELECT 'it\'s ada' FROM t",
        r"SELECT 'C:\' || ada",
        "SELECT 'ada",
        'SELECT "ada lovelace',
        "SELECT $x$ ada",
        "SELECT /* outer /* inner */ ada */ b",
        "SELECT /* ada",
    ],
)
def test_where_databases_disagree_the_rest_is_hidden(text):
    shown = shown_statement(text, 500)
    assert shown.startswith("SELECT")
    assert "ada" not in shown


def test_a_statement_is_cut_when_its_literals_are_gone():
    assert shown_statement("SELECT '" + "ada" * 900 + "', b", 10) == "SELECT ?, …"


def test_no_statement_is_none():
    assert shown_statement(None, 10) is None


@pytest.mark.parametrize("part", ["'", '"', "`", "/*", "--", "$$", "$a", "1", "'\\", "''", '"a'])
def test_a_text_of_any_length_is_shown_at_once(part):
    """A pattern that backtracks would take longer than the sun is old."""
    assert len(shown_statement(part * 100_000, 500)) <= 501
