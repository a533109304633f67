"""Failures that are written down on purpose, in a transaction of their own, and then raised."""

from contextlib import contextmanager, suppress

import pytest
from fastapi import Depends, FastAPI, HTTPException


class MailServerError(Exception):
    pass


@pytest.fixture
def transaction(make_session):
    @contextmanager
    def transaction():
        with make_session() as session:
            yield session
            session.commit()

    return transaction


@pytest.fixture
def record(transaction, models):
    def record(what):
        with transaction() as session:
            session.add(models.Item(name=what))

    return record


def test_job_that_notes_its_failure_and_raises(watch, make_session, record, models, rows):
    """Its own work is rolled back before; the queue gets the error, to try again."""
    with suppress(MailServerError), watch.owner("send mail"):
        try:
            with make_session.begin() as session:
                session.add(models.Item(name="sent"))
                session.flush()
                raise MailServerError
        except MailServerError:
            record("failed")
            raise
    assert rows() == 1


def test_request_that_notes_its_failure_and_raises(visit, make_session, record, models, rows):
    app = FastAPI()

    @app.post("/mail")
    def send():
        try:
            with make_session.begin() as session:
                session.add(models.Item(name="sent"))
                session.flush()
                raise MailServerError
        except MailServerError:
            record("failed")
            raise

    with visit(app) as client:
        assert client.post("/mail").status_code == 500
    assert rows() == 1


def test_visit_that_a_dependency_notes_before_a_404(visit, make_session, models, rows):
    """The error was raised, not returned, and the commit came long before it."""
    app = FastAPI()

    def note_visit():
        with make_session() as session:
            session.add(models.Item(name="visit"))
            session.commit()
        yield

    @app.get("/pages/{name}", dependencies=[Depends(note_visit)])
    def page(name: str):
        raise HTTPException(status_code=404)

    with visit(app) as client:
        assert client.get("/pages/a").status_code == 404
    assert rows() == 1


@pytest.mark.parametrize("status", [401, 403, 429])
def test_refusal_that_a_dependency_notes_and_raises(visit, record, rows, status):
    app = FastAPI()

    def check():
        record("refused")
        raise HTTPException(status_code=status)

    @app.get("/", dependencies=[Depends(check)])
    def page():
        return {}

    with visit(app) as client:
        assert client.get("/").status_code == status
    assert rows() == 1
