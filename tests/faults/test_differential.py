"""A watched application answers and writes what it does when nobody watches."""

from __future__ import annotations

import asyncio
import gc
import sqlite3

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session, sessionmaker

import sessionwatch
from benchmarks.mixed_application import Base, create_application
from benchmarks.mixed_traffic import answer_to, random_steps
from sessionwatch import SessionWatch, Settings

STEPS = 5_000
SEED = 20_261
COLLECTED_EVERY = 500
EVERY_RULE = Settings(log_findings=False, extend_select=("SW304",))


class SqlitePlace:
    """A database file."""

    def __init__(self, folder, name):
        self.path = folder / f"{name}.db"
        self.urls = f"sqlite:///{self.path}", f"sqlite+aiosqlite:///{self.path}"

    def set_up(self, engine):
        @event.listens_for(engine, "connect")
        def connect(connection, entry):
            cursor = connection.cursor()
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA journal_mode=MEMORY")
            cursor.close()

    def rows(self):
        connection = sqlite3.connect(self.path)
        try:
            return [connection.execute(each).fetchall() for each in READINGS]
        finally:
            connection.close()


class PostgresPlace:
    """A database of a server's."""

    def __init__(self, url, name):
        psycopg = pytest.importorskip("psycopg")
        self._connect = psycopg.connect
        with self._connect(url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            connection.execute(f'CREATE DATABASE "{name}"')
        self._url = url.replace("/postgres?", f"/{name}?")
        drivers = ("postgresql+psycopg://", "postgresql+asyncpg://")
        self.urls = tuple(self._url.replace("postgresql://", driver) for driver in drivers)

    def set_up(self, engine):
        @event.listens_for(engine, "connect")
        def connect(connection, entry):
            cursor = connection.cursor()
            cursor.execute("SET synchronous_commit = off")
            cursor.close()
            connection.commit()

    def rows(self):
        with self._connect(self._url) as connection:
            return [connection.execute(each).fetchall() for each in READINGS]


READINGS = (
    "SELECT id, name, balance FROM account ORDER BY id",
    "SELECT id, account_id, amount FROM entry ORDER BY id",
)


@pytest.fixture(params=["sqlite", "postgres"])
def make_place(request, tmp_path):
    """Makes a database by its name."""
    if request.param == "sqlite":
        pytest.importorskip("aiosqlite")
        return lambda name: SqlitePlace(tmp_path, name)
    pytest.importorskip("asyncpg")
    url = request.getfixturevalue("postgres_url")
    return lambda name: PostgresPlace(url, f"differential_{name}")


def run(place, steps, session_class=Session, settings=None):
    """Send the steps to an application of its own; returns the answers and who watched."""
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

    async def main():
        engine = create_engine(place.urls[0], max_overflow=-1)
        async_engine = create_async_engine(place.urls[1])
        for each in (engine, async_engine.sync_engine):
            place.set_up(each)
        Base.metadata.create_all(engine)
        app = create_application(
            sessionmaker(engine, class_=session_class),
            async_sessionmaker(async_engine, sync_session_class=session_class),
        )
        watch = sessionwatch.install(app, settings) if settings else None
        answers = []
        for number, step in enumerate(steps):
            answers.append(await answer_to(app, step, app.state.hanging))
            if number % COLLECTED_EVERY == 0:
                gc.collect()
        gc.collect()
        await async_engine.dispose()
        engine.dispose()
        return answers, watch

    return asyncio.run(main())


def test_same_answers_and_rows(make_place, truth, unharmed):
    steps = list(random_steps(SEED, STEPS))
    bare, watched = make_place("bare"), make_place("watched")
    expected, _ = run(bare, steps)
    answers, watch = run(watched, steps, truth.session_class, EVERY_RULE)
    try:
        assert isinstance(watch, SessionWatch)
        for step, answer, other in zip(steps, answers, expected, strict=True):
            assert (step, answer) == (step, other)
        assert watched.rows() == bare.rows()
        assert all(len(rows) > 10 for rows in bare.rows())
        assert is_worth_its_time(answers)
        unharmed(watch)
    finally:
        watch.stop()


def is_worth_its_time(answers):
    """Whether every kind of answer is among them."""
    statuses = {
        message["status"]
        for answer in answers
        for message in answer.messages
        if message["type"] == "http.response.start"
    }
    raised = {answer.raised for answer in answers}
    return {200, 201, 400, 404, 409, 422, 500} <= statuses and {
        "CancelledError",
        "IntegrityError",
        None,
    } <= raised
