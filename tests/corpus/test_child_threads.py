"""Child tasks that let a thread open their session, and outlive their request."""

import asyncio
import threading

from fastapi import FastAPI
from sqlalchemy import select


def test_child_thread_that_reads_on(visit, make_session, models):
    app = FastAPI()
    children = []
    reading, go_on = threading.Event(), threading.Event()

    def child():
        with make_session() as session:
            session.scalars(select(models.Item)).all()
            reading.set()
            go_on.wait(10)

    @app.post("/report", status_code=202)
    async def accept():
        children.append(asyncio.create_task(asyncio.to_thread(child)))
        await asyncio.to_thread(reading.wait, 10)
        return {}

    with visit(app) as client:
        assert client.post("/report").status_code == 202
        go_on.set()
        client.run(children[0])
