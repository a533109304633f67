"""Whose code a file is: the machinery's, some library's, or the application's."""

from __future__ import annotations

import enum
import os
from pathlib import Path


class CodeOrigin(enum.Enum):
    """How near a source file is to the person who reads the report."""

    MACHINERY = "machinery"
    """The standard library, SQLAlchemy, FastAPI's layers and sessionwatch itself."""
    EVENT_LOOP = "event loop"
    """Where a task or a thread begins: no frame beyond belongs to what it does."""
    LIBRARY = "library"
    """Any other installed package."""
    APPLICATION = "application"
    """Everything else."""


_MACHINERY_PACKAGES = ("sqlalchemy", "sqlmodel", "greenlet", "starlette", "fastapi", "anyio")
_EVENT_LOOPS = ("asyncio", "concurrent", "threading.py")
_LIBRARY_FOLDERS = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_STANDARD_LIBRARY = os.path.normcase(Path(os.__file__).parent) + os.sep
"""As code names its file; `sysconfig` tells the same, and takes a millisecond to."""
_TYPED_IN = ("<stdin>", "<ipython-", "<python-input-")
_OURSELVES = str(Path(__file__).resolve().parent.parent) + os.sep

_FILES_REMEMBERED = 4096

KNOWN_ORIGINS: dict[str, CodeOrigin] = {}
"""What `origin_of` has answered lately, by file name; a template engine may make up any number."""


def origin_of(filename: str) -> CodeOrigin:
    """Return whose code a file is, judged by its path alone; remembered for each file."""
    origin = KNOWN_ORIGINS.get(filename)
    if origin is None:
        if len(KNOWN_ORIGINS) >= _FILES_REMEMBERED:
            KNOWN_ORIGINS.clear()
        origin = KNOWN_ORIGINS[filename] = _judge(filename)
    return origin


def _judge(filename: str) -> CodeOrigin:
    if filename.startswith("<"):
        typed_in = filename.startswith(_TYPED_IN)
        return CodeOrigin.APPLICATION if typed_in else CodeOrigin.MACHINERY
    if filename.startswith(_OURSELVES):
        return CodeOrigin.MACHINERY
    for folder in _LIBRARY_FOLDERS:
        _, found, rest = filename.rpartition(folder)
        if found:
            package = rest.split(os.sep, 1)[0].removesuffix(".py")
            if package in _MACHINERY_PACKAGES:
                return CodeOrigin.MACHINERY
            return CodeOrigin.LIBRARY
    if os.path.normcase(filename).startswith(_STANDARD_LIBRARY):
        module = filename[len(_STANDARD_LIBRARY) :].split(os.sep, 1)[0]
        return CodeOrigin.EVENT_LOOP if module in _EVENT_LOOPS else CodeOrigin.MACHINERY
    return CodeOrigin.APPLICATION
