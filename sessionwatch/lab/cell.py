"""One cell inside a worker: a fresh database, engine, app and watch for one scenario."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import create_engine

import sessionwatch
from demo_app.application import create_variant_app
from demo_app.database import enforce_foreign_keys
from demo_app.variants import Variant
from sessionwatch.rules.rule import Severity

from .call_log import CallLog, logged_async_sessionmaker, logged_sessionmaker
from .counting_pool import CountingAsyncPool, CountingPool
from .errors import LabError
from .evidence import Rows, read_rows
from .guard import LABS_OWN
from .places import Place
from .stage import Stage

BURST_PATIENCE_SECONDS = 1.0
"""How long a request of a burst waits for a connection, and on SQLite for the write lock."""
SINGLE_PATIENCE_SECONDS = 0.25
"""The same for a request that is alone: it can only wait for itself."""
_SETTLING_SECONDS = 15.0
_MOST_DRAWN = 200
"""Enough for every request of a burst."""
_PAUSES_SECONDS = (0, 0.01, 0.02, 0.05, 0.1, 0)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a cell lends to the application that it serves."""

    engine: Any
    log: CallLog
    create_session: Any
    """A `SessionLocal` on the engine, whose sessions write into the log."""


BuildApplication = Callable[[Ground], Any]
"""Makes an app whose sessions are made on the ground it is given."""


@dataclass(frozen=True, slots=True)
class CellSetting:
    """What a cell is told: the pool to make and the one order to look for, if it is about one."""

    is_async: bool
    pool_size: int
    reference: str | None


def variant_application(variant: Variant) -> BuildApplication:
    """Return what makes the demo app with that variant's `get_db`."""

    def build(ground: Ground) -> Any:
        return create_variant_app(variant, ground.create_session)

    return build


class Cell:
    """Serves one variant on the stage until `close`; the garbage collector waits meanwhile."""

    def __init__(
        self, stage: Stage, place: Place, build: BuildApplication, setting: CellSetting
    ) -> None:
        self._stage = stage
        self._reference = setting.reference
        self._log = CallLog()
        self._engine: Any = _make_engine(place, setting)
        make = logged_async_sessionmaker if setting.is_async else logged_sessionmaker
        create_session = make(self._engine, self._log)
        self._application = build(Ground(self._engine, self._log, create_session))
        self._watch = sessionwatch.install(
            self._application,
            sessionwatch.Settings(log_findings=False, timelines="all", max_timelines=_MOST_DRAWN),
        )
        self._evidence = place.connect()
        self._before = self._rows()
        self._at_response_start: Rows | None = None

    def open(self) -> None:
        """Put the app on the stage; from here on nothing is collected by chance."""
        self._stage.clear()
        if self._reference is not None:
            self._stage.on_response_start = self._note_response_start
        self._stage.application = self._application
        gc.disable()
        # Collections then look at what the requests leave, not at every module and route.
        gc.freeze()

    async def settle(self) -> dict[str, Any]:
        """Wait until all requests are judged, then tell what is out and what was recorded."""
        await self._wait_until_judged()
        return {
            "out": self._pool.checkedout(),
            "opened": self._log.opened,
            "closed": self._log.closed,
            "calls": self._log.calls,
            "snapshot": self._watch.snapshot().to_dict(),
        }

    def resume_collector(self) -> None:
        """Let the garbage collector run by itself again, as on any server."""
        gc.enable()

    async def collect(self) -> dict[str, Any]:
        """Collect the garbage, then tell what is still out and what the database holds."""
        await self._wait_until_judged()
        await self._collect_garbage()
        return {
            "out": self._pool.checkedout(),
            "snapshot": self._watch.snapshot().to_dict(),
            "timeline": _telling(self._watch.timelines()),
            "pool_timeouts": self._pool.timeouts,
            "errors_after_success": self._stage.notes.errors_after_success,
            "before": asdict(self._before),
            "at_response_start": self._at_response_start and asdict(self._at_response_start),
            "after": asdict(self._rows()),
        }

    async def close(self) -> None:
        """Take everything of this cell away again."""
        gc.enable()
        self._stage.clear()
        self._watch.stop()
        self._evidence.close()
        disposing = self._engine.dispose()
        if disposing is not None:
            await disposing

    @property
    def _pool(self) -> Any:
        engine = getattr(self._engine, "sync_engine", self._engine)
        return engine.pool

    def _rows(self) -> Rows:
        return read_rows(self._evidence, self._reference or "")

    def _note_response_start(self) -> None:
        self._at_response_start = self._rows()

    async def _collect_garbage(self) -> None:
        """Collect until nothing is out, with pauses in which threads let go of what they ran."""
        for pause_seconds in _PAUSES_SECONDS:
            gc.collect()
            await asyncio.sleep(pause_seconds)
            if not self._pool.checkedout():
                break

    async def _wait_until_judged(self) -> None:
        try:
            async with asyncio.timeout(_SETTLING_SECONDS):
                await self._stage.idle()
                while self._watch.active_owners():
                    await asyncio.sleep(0.001)
        except TimeoutError:
            raise LabError(
                f"a request did not end within {_SETTLING_SECONDS:.0f} s of its answer: "
                "run again when the machine is less busy"
            ) from None


def _telling(timelines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the course to draw: the first of those with the worst finding."""

    def gravity(timeline: dict[str, Any]) -> int:
        findings = timeline["findings"]
        return max((Severity(each["severity"]).rank for each in findings), default=-1)

    return max(timelines, key=gravity, default=None)


def _make_engine(place: Place, setting: CellSetting) -> Any:
    patience = BURST_PATIENCE_SECONDS if setting.reference is None else SINGLE_PATIENCE_SECONDS
    options: dict[str, Any] = {
        "poolclass": CountingAsyncPool if setting.is_async else CountingPool,
        "pool_size": setting.pool_size,
        "max_overflow": 0,
        "pool_timeout": patience,
        "execution_options": LABS_OWN,
        "connect_args": place.connect_arguments(patience, is_async=setting.is_async),
    }
    if not setting.is_async:
        engine = create_engine(place.url(is_async=False), **options)
        enforce_foreign_keys(engine)
        return engine
    from sqlalchemy.ext.asyncio import create_async_engine

    async_engine = create_async_engine(place.url(is_async=True), **options)
    enforce_foreign_keys(async_engine.sync_engine)
    return async_engine
