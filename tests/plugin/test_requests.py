"""Requests that a test makes belong to it, however they reach the application."""

from __future__ import annotations

import pytest

CLIENT = """
import asyncio, warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient, Client

def by_test_client(method, path):
    return TestClient(app).request(method, path)

def by_transport(method, path):
    async def send():
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path)
    return asyncio.run(send())
"""
SERVER = """
import time, uvicorn

@pytest.fixture(scope="session")
def address():
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield "http://127.0.0.1:%d" % server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)
"""


@pytest.mark.parametrize("sent", ["by_test_client", "by_transport"])
def test_request_in_this_process(shop, sent):
    outcome = shop(f"""{CLIENT}
def test_fine():
    assert {sent}("GET", "/items/1").status_code == 200

def test_leak():
    assert {sent}("GET", "/leak").status_code == 404

def test_half_saved():
    assert {sent}("POST", "/half/lamp").status_code == 500
""")
    assert outcome.leaking == ["test_shop.py::test_half_saved", "test_shop.py::test_leak"]
    assert "GET /leak opened a session at shop.py:" in outcome
    assert "SW202 partial commit: POST /half/{name}" in outcome


def test_live_server_in_a_thread(shop):
    outcome = shop(f"""{CLIENT}{SERVER}
def test_fine(address):
    with Client(base_url=address) as client:
        assert client.get("/items/1").status_code == 200

def test_leak(address):
    with Client(base_url=address) as client:
        assert client.get("/leak").status_code == 404

def test_fine_again(address):
    with Client(base_url=address) as client:
        assert client.get("/items/2").status_code == 200
""")
    assert outcome.leaking == ["test_shop.py::test_leak"]


def test_live_server_that_goes_on_after_its_response(shop):
    """Who has sent the request knows of the response before the request is over."""
    outcome = shop(f"""{CLIENT}{SERVER}
from fastapi import BackgroundTasks

leaked = []

@app.get("/later")
def later(background: BackgroundTasks) -> None:
    leaked.append(Session(engine))
    leaked[0].connection()
    background.add_task(time.sleep, 0.2)

def test_leak(address):
    with Client(base_url=address) as client:
        assert client.get("/later").status_code == 200

def test_fine(address):
    with Client(base_url=address) as client:
        assert client.get("/items/2").status_code == 200
""")
    assert outcome.leaking == ["test_shop.py::test_leak"]


def test_client_of_the_whole_run(shop):
    """Whose loop runs in a thread that is older than the test."""
    outcome = shop(f"""{CLIENT}
@pytest.fixture(scope="session")
def client():
    with TestClient(app) as client:
        yield client

def test_fine(client):
    assert client.get("/items/1").status_code == 200

def test_leak(client):
    assert client.get("/leak").status_code == 404
""")
    assert outcome.leaking == ["test_shop.py::test_leak"]


def test_threads_that_are_over_are_let_go(shop):
    """A session that is kept refers to its test, and that to no thread that ran before it."""
    outcome = shop(f"""{CLIENT}
import weakref

served_by = []

@app.get("/thread")
def thread():
    served_by.extend(weakref.ref(thread) for thread in threading.enumerate()[1:])

@pytest.mark.parametrize("number", range(8))
def test_request(number):
    with SessionLocal() as session:
        kept.append(session)
    assert by_test_client("GET", "/thread").status_code == 200

def test_threads():
    gc.collect()
    over = [each for each in served_by if each() is not None and not each().is_alive()]
    assert len(served_by) >= 8 and over == []
""")
    assert outcome.counts == {"passed": 9}


def test_application_with_a_watch_of_its_own(shop):
    outcome = shop(
        f"""{CLIENT}
import sessionwatch as ours
watch = ours.install(app)

def test_fine():
    assert by_test_client("GET", "/items/1").status_code == 200
    assert "GET /items/{{number}}" in watch.snapshot().routes

def test_leak():
    assert by_test_client("GET", "/leak").status_code == 404
""",
        apart=True,
    )
    assert outcome.leaking == ["test_shop.py::test_leak"]


def test_overrides_with_another_engine(shop):
    outcome = shop(f"""{CLIENT}
other = sessionmaker(create_engine("sqlite:///other.db"))

def get_other_db():
    with other() as session:
        yield session

def get_leaky_other_db():
    session = other()
    session.execute(ONE)
    kept.append(session)
    yield session

@pytest.fixture
def override():
    def override(function):
        app.dependency_overrides[get_db] = function
    yield override
    app.dependency_overrides.clear()

def test_fine(override):
    override(get_other_db)
    assert by_test_client("GET", "/items/1").status_code == 200

def test_leak(override):
    override(get_leaky_other_db)
    assert by_test_client("GET", "/items/1").status_code == 200
""")
    assert outcome.leaking == ["test_shop.py::test_leak"]


def test_one_session_for_all_requests_of_a_test(shop):
    """As FastAPI's and SQLModel's documentation have it."""
    outcome = shop(f"""{CLIENT}
@pytest.fixture
def client():
    with SessionLocal() as session:
        app.dependency_overrides[get_db] = lambda: session
        yield TestClient(app)
        app.dependency_overrides.clear()

def test_two_requests(client):
    assert client.post("/items/lamp").status_code == 200
    assert client.post("/items/chair").status_code == 200
    assert client.get("/items/1").status_code == 200
""")
    assert (outcome.status, outcome.leaking) == (0, [])
    assert "SW" not in outcome


def test_websocket(shop):
    outcome = shop(f"""{CLIENT}
from fastapi import WebSocket

@app.websocket("/talk")
async def talk(socket: WebSocket):
    await socket.accept()
    open_and_keep()
    await socket.close()

def test_talk():
    with TestClient(app).websocket_connect("/talk"):
        pass
""")
    assert outcome.leaking == ["test_shop.py::test_talk"]
