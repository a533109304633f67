"""Engines that are created while a request is served.

Seen by the hook that `create_engine` calls at its end (`Dialect.engine_created`, 2.0 and 2.1), as
it asks the constructor of `Engine` by name for the arguments that it takes, and would not find
them in a wrapper.
"""

from __future__ import annotations

import functools
import sys
import weakref
from typing import Any

from sqlalchemy.engine import Dialect, Engine

from sessionwatch import records
from sessionwatch.instruments.attribution import guarded, owner_now
from sessionwatch.instruments.holds import display_url
from sessionwatch.instruments.patches import Patch

_known: weakref.WeakSet[Engine] = weakref.WeakSet()


@guarded
def engine_made(engine: Engine) -> None:
    """Tell of an engine that a request creates, and where one of its URL was created first.

    Of very many URLs, the oldest are forgotten. SQLAlchemy may call twice for one engine, as it
    does for psycopg with asyncio.
    """
    owner = owner_now()
    if owner is None or not owner.is_served or engine in _known:
        return
    _known.add(engine)
    recorder = owner.recorder
    if recorder.only is not None:
        return
    at, _ = recorder.capture(sys._getframe(_CALLER))
    url = engine.url._replace(password=None).render_as_string()
    earlier = recorder.engines_made.get(url)
    if earlier is None:
        recorder.engine_url_seen(url, at)
    recorder.incident(records.incident.EngineMade(owner, at, display_url(engine.url), earlier))


def _wrap_engine_created(original: Any) -> Any:
    @functools.wraps(original.__func__)
    def engine_created(cls: type[Dialect], engine: Engine) -> None:
        original.__get__(None, cls)(engine)
        engine_made(engine)

    return classmethod(engine_created)


_CALLER = 3
PATCHES = (Patch(Dialect, "engine_created", _wrap_engine_created),)
