"""Whose code a file is, told from its path alone."""

from __future__ import annotations

import asyncio
import contextlib
import sysconfig
import threading
from pathlib import Path

import pytest
import sqlalchemy
import starlette

import sessionwatch
from sessionwatch.records.code_origin import KNOWN_ORIGINS, CodeOrigin, origin_of

PACKAGES = f"{sysconfig.get_path('purelib')}/"


@pytest.mark.parametrize(
    "file",
    [
        __file__,
        "/srv/app/db.py",
        "app/db.py",
        "C:\\app\\db.py",
        "<stdin>",
        "<ipython-input-3-0123456789ab>",
        "<python-input-0>",
        "/home/ann/sqlalchemy/app.py",
    ],
)
def test_application(file):
    assert origin_of(file) is CodeOrigin.APPLICATION


@pytest.mark.parametrize(
    "file",
    [
        sqlalchemy.__file__,
        starlette.__file__,
        contextlib.__file__,
        str(Path(sessionwatch.__file__).with_name("watch.py")),
        PACKAGES + "sqlmodel/orm/session.py",
        "<frozen importlib._bootstrap>",
        "<string>",
    ],
)
def test_machinery(file):
    assert origin_of(file) is CodeOrigin.MACHINERY


@pytest.mark.parametrize("file", [asyncio.__file__, threading.__file__])
def test_event_loop(file):
    assert origin_of(file) is CodeOrigin.EVENT_LOOP


@pytest.mark.parametrize(
    "file",
    [
        pytest.__file__,
        PACKAGES + "shop/db.py",
        PACKAGES + "sqlalchemy_helpers/session.py",
        "/usr/lib/python3/dist-packages/shop.py",
        "/srv/app/.venv/lib/python3.11/site-packages/shop/db.py",
    ],
)
def test_library(file):
    assert origin_of(file) is CodeOrigin.LIBRARY


def test_files_without_number_are_not_all_remembered():
    """As a template engine makes them up, one for each rendering."""
    for number in range(50_000):
        assert origin_of(f"/srv/app/made_up_{number}.py") is CodeOrigin.APPLICATION
        assert len(KNOWN_ORIGINS) <= 4096
