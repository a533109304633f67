"""Other tools that watch SQLAlchemy, each attached as its own documentation says.

Each function is given the one that builds the application, and returns the application with what
tells how much was recorded since it was last asked. Nothing is sent anywhere.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.applications import Application

OPENTELEMETRY = ("opentelemetry-instrumentation-sqlalchemy", "opentelemetry-sdk")
PROFILER = ("asgi-profiler",)
MONITOR = ("fastapi-sqlalchemy-monitor",)
SENTRY = ("sentry-sdk",)

Build = Callable[[], Application]
Peer = tuple[Application, Callable[[], int]]


class Tally:
    """A number that is counted up, and back at zero when it has been asked."""

    def __init__(self) -> None:
        self.number = 0

    def take(self) -> int:
        """Return what was counted since this was last asked."""
        number, self.number = self.number, 0
        return number


def opentelemetry(build: Build) -> Peer:
    """Spans of SQLAlchemy alone, every one sampled, ended in a processor that only counts."""
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    tally = Tally()

    class Counting(SpanProcessor):
        def on_end(self, span: Any) -> None:
            tally.number += 1

    application, provider = build(), TracerProvider()
    provider.add_span_processor(Counting())
    # Its declared range of SQLAlchemy ends before 2.1, and it then does nothing, silently.
    SQLAlchemyInstrumentor().instrument(
        engine=application.engine, tracer_provider=provider, skip_dep_check=True
    )
    return application, tally.take


def profiler(build: Build, *, stacks: bool = False) -> Peer:
    """Its middleware, listeners and store in memory."""
    from asgi_profiler import install

    application = build()
    installed = install(application.app, capture_stacks=stacks)

    def recorded() -> int:
        queries = sum(len(profile.queries) for profile in installed.profiles)
        installed.clear()
        return queries

    return application, recorded


def profiler_with_stacks(build: Build) -> Peer:
    """The same with the frames behind each query."""
    return profiler(build, stacks=True)


def monitor(build: Build) -> Peer:
    """Its middleware and listeners, with an action that only counts."""
    from fastapi_sqlalchemy_monitor import SQLAlchemyMonitor
    from fastapi_sqlalchemy_monitor.action import Action

    tally = Tally()

    class Counting(Action):
        def handle(self, statistics: Any) -> None:
            tally.number += statistics.total_invocations

    application = build()
    application.app.add_middleware(
        SQLAlchemyMonitor, engine=application.engine, actions=[Counting()]
    )
    return application, tally.take


def sentry(build: Build) -> Peer:
    """Tracing of every request, with the integrations of FastAPI and SQLAlchemy alone."""
    import sentry_sdk
    from sentry_sdk.integrations.fastapi import FastApiIntegration
    from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration
    from sentry_sdk.integrations.starlette import StarletteIntegration
    from sentry_sdk.transport import Transport

    tally = Tally()

    class Counting(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            transaction = envelope.get_transaction_event() or {}
            tally.number += sum(span.get("op") == "db" for span in transaction.get("spans", ()))

    sentry_sdk.init(
        dsn="http://nobody@localhost/1",
        transport=Counting,
        traces_sample_rate=1.0,
        integrations=[StarletteIntegration(), FastApiIntegration(), SqlalchemyIntegration()],
        auto_enabling_integrations=False,
    )
    return build(), tally.take
