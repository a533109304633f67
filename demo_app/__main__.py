"""Serve the shop on 127.0.0.1:8000: `python -m demo_app`; the variable PORT names another port."""

import os
import socket
import sys

import uvicorn
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError

from demo_app.application import create_app
from demo_app.database import SessionLocal, engine, get_db
from demo_app.models import Item, create_tables, seed

HOST = "127.0.0.1"

app = create_app(get_db, create_session=SessionLocal)


def chosen_port() -> int:
    """Return the port to serve on, once it is sure to be free; ends with one line otherwise."""
    text = os.environ.get("PORT", "8000")
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        sys.exit(f"PORT is {text!r}: give it a number from 1 to 65535")
    port = int(text)
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            sys.exit(f"port {port} on {HOST} is taken: end what listens there, or set PORT")
    return port


def prepare_database() -> None:
    """Create the tables in test.db and stock the shop, unless both was done; or end in one line."""
    try:
        create_tables(engine)
        with engine.begin() as connection:
            if connection.scalar(select(func.count()).select_from(Item)) == 0:
                seed(connection)
    except DatabaseError as error:
        sys.exit(
            f"cannot use test.db in this folder ({error.orig}): run this in another folder, one "
            "that you may write to"
        )


if __name__ == "__main__":
    port = chosen_port()
    prepare_database()
    uvicorn.run("__main__:app", host=HOST, port=port)
