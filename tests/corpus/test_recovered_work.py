"""Owners of several units of work, one of which is rolled back on purpose and dealt with."""

import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from sqlalchemy.exc import IntegrityError


class RefusedError(Exception):
    pass


@pytest.fixture
def add(make_session, models):
    """A unit of work: a name is saved whole, or refused and rolled back."""

    def add(name):
        with make_session.begin() as session:
            session.add(models.Item(name=name))
            session.flush()
            if name.startswith("bad"):
                raise RefusedError

    return add


def test_second_unit_that_is_tried_again(watch, make_session, models, rows):
    """In the end everything is saved, and nothing was lost on the way."""
    with watch.owner("job"), make_session() as session:
        session.add(models.Item(name="first"))
        session.commit()
        for name in ("taken", "free"):
            session.add(models.Item(name="second"))
            session.flush()
            session.add(models.Item(name="first" if name == "taken" else name))
            try:
                session.commit()
            except IntegrityError:
                session.rollback()
    assert rows() == 3


def test_worker_that_goes_on_after_a_bad_message(watch, add, rows):
    refused = []
    with watch.owner("worker"):
        for name in ("a", "bad", "b"):
            try:
                add(name)
            except RefusedError:
                refused.append(name)
    assert refused == ["bad"]
    assert rows() == 2


def test_import_that_reports_each_row(visit, add, rows):
    app = FastAPI()

    @app.post("/import")
    def import_all(names: list[str]):
        report = {}
        for name in names:
            try:
                add(name)
                report[name] = 201
            except RefusedError:
                report[name] = 422
        return report

    with visit(app) as client:
        answer = client.post("/import", json=["a", "bad", "b"])
    assert answer.json() == {"a": 201, "bad": 422, "b": 201}
    assert rows() == 2


def test_websocket_that_refuses_a_message(visit, add, rows):
    app = FastAPI()

    @app.websocket("/add")
    async def talk(websocket: WebSocket):
        await websocket.accept()
        async for name in websocket.iter_text():
            try:
                add(name)
                await websocket.send_text("saved")
            except RefusedError:
                await websocket.send_text("refused")

    with visit(app) as client:
        talking = client.websocket("/add")
        assert [talking.ask(name) for name in ("a", "bad", "b")] == ["saved", "refused", "saved"]
        talking.hang_up()
    assert rows() == 2


@pytest.mark.parametrize("handled", [True, False])
def test_background_task_that_rolls_back(visit, add, rows, handled):
    """The request's own work was whole, saved and acknowledged before the task began."""
    app = FastAPI()

    def later_work():
        try:
            add("bad")
        except RefusedError:
            if not handled:
                raise

    @app.post("/orders")
    def order(later: BackgroundTasks):
        add("order")
        later.add_task(later_work)
        return {}

    with visit(app) as client:
        client.post("/orders")
    assert rows() == 1
