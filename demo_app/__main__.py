"""Serve the shop on 127.0.0.1:8000: `python -m demo_app`."""

import os
import socket
import sys

import uvicorn
from sqlalchemy import func, select

from demo_app.application import create_app
from demo_app.database import SessionLocal, engine, get_db
from demo_app.models import Item, create_tables, seed

HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT", "8000"))

app = create_app(get_db, create_session=SessionLocal)


def prepare_database() -> None:
    """Create the tables in test.db, and stock the shop the first time."""
    create_tables(engine)
    with engine.begin() as connection:
        if connection.scalar(select(func.count()).select_from(Item)) == 0:
            seed(connection)


def require_free_port() -> None:
    """End with one clear line when something else listens on the port."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, PORT)) == 0:
            sys.exit(f"port {PORT} on {HOST} is taken: end what listens there, or set PORT")


if __name__ == "__main__":
    require_free_port()
    prepare_database()
    uvicorn.run("__main__:app", host=HOST, port=PORT)
