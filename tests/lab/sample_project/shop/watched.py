"""An application that is watched already, with its dependency beside it."""

from fastapi import FastAPI

import sessionwatch
from shop.database import SessionLocal, get_db

app = FastAPI()
watch = sessionwatch.install(app)

__all__ = ["SessionLocal", "app", "get_db"]
