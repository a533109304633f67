"""Who takes part: sessionwatch in its tiers, the floor that none can undercut, and the peers."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from benchmarks import floor, peers
from benchmarks.applications import Application
from sessionwatch import SessionWatch, SessionWatchMiddleware, Settings

Build = Callable[[], Application]


@dataclass
class Attached:
    """An application with a contestant in it."""

    application: Application
    recorded: Callable[[], int] | None = None
    """What it has recorded since this was last asked; None for those that record nothing."""
    watch: SessionWatch | None = None


@dataclass(frozen=True)
class Contestant:
    """A name, what to install for it, and how it is attached to an application.

    `attach` is given the function that builds the application, as some must be there before it.
    """

    name: str
    attach: Callable[[Build], Attached]
    distributions: tuple[str, ...] = ()

    @property
    def absence(self) -> str | None:
        """Why it can't take part, or None."""
        try:
            self.versions()
        except metadata.PackageNotFoundError as missing:
            return f"{missing.name} is not installed"
        return None

    def versions(self) -> dict[str, str]:
        """Return the versions of what it consists of; raises `PackageNotFoundError`."""
        return {name: metadata.version(name) for name in self.distributions}


def _bare(build: Build) -> Attached:
    return Attached(build())


def _floor(build: Build) -> Attached:
    application = build()
    application.app.add_middleware(floor.PassingOn)
    floor.touch()
    return Attached(application)


def _disabled(build: Build) -> Attached:
    application = build()
    watch = SessionWatch(Settings())
    application.app.add_middleware(SessionWatchMiddleware, watch=watch)
    return Attached(application)


def _watched(stacks: str) -> Callable[[Build], Attached]:
    def attach(build: Build) -> Attached:
        application = build()
        watch = SessionWatch(Settings(stacks=stacks))
        application.app.add_middleware(SessionWatchMiddleware, watch=watch)
        watch.start()
        counted = 0

        def recorded() -> int:
            nonlocal counted
            before, counted = counted, watch.snapshot().totals.counts.statements
            return counted - before

        return Attached(application, recorded, watch)

    return attach


def _peer(attach: Callable[[Build], tuple[Application, Callable[[], int]]]) -> Any:
    return lambda build: Attached(*attach(build))


BARE = "bare"
AGAIN = "bare, again"
FLOOR = "floor"
DISABLED = "disabled"
COUNTS = "counts only"
DEFAULT = "default"
FULL = "full stacks"

CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(BARE, _bare),
        Contestant(AGAIN, _bare),
        Contestant(FLOOR, _floor),
        Contestant(DISABLED, _disabled),
        Contestant(COUNTS, _watched("off")),
        Contestant(DEFAULT, _watched("caller")),
        Contestant(FULL, _watched("full")),
        Contestant("opentelemetry", _peer(peers.opentelemetry), peers.OPENTELEMETRY),
        Contestant("asgi-profiler", _peer(peers.profiler_with_stacks), peers.PROFILER),
        Contestant("asgi-profiler, no stacks", _peer(peers.profiler), peers.PROFILER),
        Contestant("fastapi-sqlalchemy-monitor", _peer(peers.monitor), peers.MONITOR),
        Contestant("sentry-sdk", _peer(peers.sentry), peers.SENTRY),
    )
}
