"""Sources that are checked: a snippet below the imports that all have, or a project of files."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionwatch.lint.check import Result, check

IMPORTS = """\
import asyncio, contextlib, threading
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from typing import Annotated
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

app = FastAPI()
engine = create_engine("sqlite://")
SessionLocal = sessionmaker(engine)
AsyncLocal = async_sessionmaker(engine)
"""


@pytest.fixture
def lint(tmp_path: Path) -> Callable[..., Result]:
    """Check a snippet, or files by their names; `fastapi` is (0, 121) unless told."""

    def run(source, *, fastapi=(0, 121), imports=IMPORTS, **options) -> Result:
        files = source if isinstance(source, dict) else {"main.py": imports + source}
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        options.setdefault("reports", lambda code: True)
        return check([str(tmp_path)], fastapi=fastapi, **options)

    return run


@pytest.fixture
def codes(lint) -> Callable[..., list[str]]:
    """The codes that are found, one for each finding."""

    def found(*arguments, **options) -> list[str]:
        return [finding.rule.code for finding in lint(*arguments, **options).findings]

    return found
