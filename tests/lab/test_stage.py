"""The stage between uvicorn and the current cell's application."""

import asyncio

import pytest

from sessionwatch.lab.stage import Stage


async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def fail_before(scope, receive, send):
    raise ValueError


async def fail_after(scope, receive, send):
    await answer(scope, receive, send)
    raise KeyError


def call(stage, application):
    sent = []

    async def send(message):
        sent.append(message["type"])

    stage.application = application
    asyncio.run(stage({"type": "http"}, None, send))
    return sent


def test_it_passes_on_what_the_application_sends():
    assert call(Stage(), answer) == ["http.response.start", "http.response.body"]


def test_it_says_when_the_response_starts():
    stage, started = Stage(), []
    stage.on_response_start = lambda: started.append(True)

    call(stage, answer)

    assert started == [True]


def test_it_tells_errors_before_the_response_from_errors_after_it():
    stage = Stage()
    with pytest.raises(ValueError):
        call(stage, fail_before)
    with pytest.raises(KeyError):
        call(stage, fail_after)

    assert stage.notes.errors_after_success == ["KeyError"]


def test_it_is_idle_only_when_no_request_is_inside():
    stage = Stage()

    async def scene():
        leaving = asyncio.Event()

        async def wait(scope, receive, send):
            await leaving.wait()

        stage.application = wait
        request = asyncio.create_task(stage({"type": "http"}, None, None))
        idle = asyncio.create_task(stage.idle())
        await asyncio.wait([idle], timeout=0.02)
        busy = not idle.done()
        leaving.set()
        await asyncio.gather(request, idle)
        return busy

    assert asyncio.run(scene())


def test_between_two_cells_nobody_is_served():
    stage = Stage()
    stage.clear()

    with pytest.raises(RuntimeError, match="between two cells"):
        call(stage, None)
