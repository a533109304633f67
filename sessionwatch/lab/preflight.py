"""Tries the user's dependency once, in one route, before anything is measured with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import func, select

from demo_app.models import Item
from demo_app.schemas import NewOrder

from .cell import Cell, CellSetting, Ground
from .errors import LabError, with_article
from .places import Place
from .session_kinds import is_session, sync_session_of
from .stage import Stage
from .user_dependency import UserDependency
from .user_import import tell

_COUNT = select(func.count()).select_from(Item)


async def check(yours: UserDependency, place: Place) -> None:
    """Raise LabError unless it gives sessions that the lab can put to use, and follow."""
    complaints: list[str] = []
    trial = _Trial(yours, complaints)
    setting = CellSetting(yours.source.is_async, pool_size=5, reference=None)
    cell = Cell(Stage(), place, trial.application, setting)
    try:
        response = await _ask(yours.name, trial.served, complaints)
        settled = await cell.settle()
    finally:
        await cell.close()
    if response.status_code != 200:
        raise LabError(_refusal(yours.name, response))
    watched, logged = settled["snapshot"]["totals"]["opened"], settled["opened"]
    if watched != logged:
        raise LabError(
            f"--get-db: {yours.name} opens {watched} sessions for a request, and "
            f"{yours.source.name} makes {logged} of them: the lab can only follow those of one "
            "sessionmaker"
        )


class _Trial:
    """An app of one route, which looks at what it is given."""

    def __init__(self, yours: UserDependency, complaints: list[str]) -> None:
        self._yours = yours
        self._complaints = complaints
        self.served = FastAPI()

    def application(self, ground: Ground) -> FastAPI:
        """Declare the route, with a body as most routes of the demo app have one."""
        db: Any = Depends(self._yours.rebind(ground))
        declare = self._async_route if self._yours.source.is_async else self._route
        self.served.post("/")(declare(db, ground))
        return self.served

    def _route(self, given: Any, ground: Ground) -> Callable[..., Any]:
        def look(order: NewOrder, db=given) -> None:  # type: ignore[no-untyped-def]
            if self._is_right(db, ground):
                db.scalar(_COUNT)

        return look

    def _async_route(self, given: Any, ground: Ground) -> Callable[..., Any]:
        async def look(order: NewOrder, db=given) -> None:  # type: ignore[no-untyped-def]
            if self._is_right(db, ground):
                await db.scalar(_COUNT)

        return look

    def _is_right(self, db: Any, ground: Ground) -> bool:
        """Note what is wrong with what was given; the dependency must not see it as an error."""
        self._complaints += _complaints(self._yours, db, ground)
        return not self._complaints


def _complaints(yours: UserDependency, db: Any, ground: Ground) -> list[str]:
    is_async, made_by = yours.source.is_async, yours.source.name
    if not is_session(db, is_async=is_async):
        wanted = "an AsyncSession" if is_async else "a Session"
        given = with_article(type(db).__name__)
        return [
            f"{yours.name} gives {given} and not {wanted}: name the dependency that gives the "
            f"session itself, and with --sessionmaker what makes it, if that is not {made_by}"
        ]
    session = sync_session_of(db)
    engine = session.get_bind().engine
    if engine is not getattr(ground.engine, "sync_engine", ground.engine):
        bound = engine.url.render_as_string(hide_password=True)
        return [
            f"{yours.name} gives sessions that are bound to {bound} although {made_by} was rebound "
            "to the lab's database: name what makes them with --sessionmaker, and if that is made "
            "inside a function, make it once in a module"
        ]
    if not ground.log.knows(session):
        return [
            f"{yours.name} gives sessions that {made_by} did not make, so the lab can't follow "
            "them: name what makes them with --sessionmaker"
        ]
    return []


async def _ask(name: str, application: FastAPI, complaints: list[str]) -> httpx.Response:
    """Make the one request, and raise LabError for what went wrong."""
    transport = httpx.ASGITransport(application)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
            response = await client.post("/", json={"reference": "trial"})
    except Exception as error:  # noqa: BLE001 - the user's code can raise anything
        if not complaints:
            raise LabError(
                f"--get-db: {name} failed when it was tried: {tell(error, name)}"
            ) from None
    if complaints:
        raise LabError(f"--get-db: {complaints[0]}")
    return response


def _refusal(name: str, response: httpx.Response) -> str:
    """Tell what the dependency wants that the lab's requests do not have."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text
    if isinstance(detail, list):
        detail = "; ".join(f"{' '.join(map(str, each['loc']))}: {each['msg']}" for each in detail)
    return (
        f"--get-db: with {name} the lab's requests are answered {response.status_code} ({detail}): "
        "name a dependency that asks nothing of a request, or give what it asks a default"
    )
