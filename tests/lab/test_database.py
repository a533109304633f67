"""Which database a run may use, and the one line that says why another can't."""

import sys

import pytest

from sessionwatch.lab.database import choose_database
from sessionwatch.lab.errors import LabError


def refusal(url, *, is_async=False):
    with pytest.raises(LabError) as caught:
        choose_database(url, is_async=is_async)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("url", "is_async", "driver"),
    [
        (None, False, "pysqlite"),
        (None, True, "aiosqlite"),
        ("sqlite:///lab.db", False, "pysqlite"),
        ("sqlite:///lab.db", True, "aiosqlite"),
        ("postgresql+psycopg://localhost/lab", False, "psycopg"),
        ("postgresql+psycopg://localhost/lab", True, "psycopg"),
        ("postgresql+asyncpg://localhost/lab", True, "asyncpg"),
    ],
)
def test_the_driver_is_the_one_that_was_named_or_meant(url, is_async, driver):
    database = choose_database(url, is_async=is_async)

    assert (database.driver, database.is_async) == (driver, is_async)


def test_the_label_hides_the_password():
    database = choose_database("postgresql+psycopg://me:secret@localhost/lab", is_async=False)

    assert database.label == "postgresql+psycopg://me:***@localhost/lab"


def test_the_sync_twin_drops_what_only_the_async_driver_knows():
    url = "postgresql+asyncpg://localhost/lab?host=/run/db&prepared_statement_cache_size=0"

    twin = choose_database(url, is_async=True).sync_twin

    assert twin.url == "postgresql+psycopg://localhost/lab?host=%2Frun%2Fdb"
    assert not twin.is_async


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite://"])
def test_a_database_in_memory_is_refused(url):
    assert "name a file" in refusal(url)


def test_a_postgresql_url_must_name_its_driver():
    assert "write postgresql+psycopg://" in refusal("postgresql://localhost/lab")


def test_a_database_without_an_evidence_reader_is_refused():
    assert "no evidence reader for mysql+pymysql://" in refusal("mysql+pymysql://localhost/lab")


def test_what_is_no_url_is_refused_without_repeating_it():
    message = refusal("me:secret@host")

    assert "is no SQLAlchemy URL" in message
    assert "secret" not in message


def test_an_async_driver_asks_for_async():
    assert "add --async" in refusal("postgresql+asyncpg://localhost/lab")
    assert "add --async" in refusal("sqlite+aiosqlite:///lab.db")


def test_a_sync_driver_asks_for_its_absence():
    assert "leave --async out" in refusal("sqlite+pysqlite:///lab.db", is_async=True)


@pytest.mark.parametrize(
    ("module", "url", "is_async", "extra"),
    [
        ("greenlet", None, True, "async"),
        ("aiosqlite", None, True, "async"),
        ("psycopg", "postgresql+psycopg://localhost/lab", False, "postgres"),
        ("asyncpg", "postgresql+asyncpg://localhost/lab", True, "postgres"),
    ],
)
def test_a_missing_module_is_named_with_what_installs_it(monkeypatch, module, url, is_async, extra):
    monkeypatch.setitem(sys.modules, module, None)

    message = refusal(url, is_async=is_async)

    assert f"needs {module}" in message
    assert message.endswith(f'run pip install "sessionwatch[{extra}]"')
