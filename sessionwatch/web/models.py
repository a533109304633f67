"""What `/debug/sessions` answers with, for its OpenAPI description.

The names all begin alike: FastAPI renames an application's own `Owner` in its schema when another
model is called so.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class SessionWatchNumbers(BaseModel):
    """What was counted, of one route or in total; a session under way counts as it stands."""

    owners: int = Field(description="Requests and jobs that used a session or a connection.")
    open: int = Field(description="Sessions that are neither closed nor collected.")
    leaked: int = Field(
        description="Sessions reported as leaked (SW101), also those that came back later."
    )
    opened: int = Field(description="Sessions that were made.")
    closed: int = Field(description="Sessions closed by close(), reset() or invalidate().")
    collected: int = Field(description="Sessions that only the garbage collector ended.")
    committed: int = Field(description="Commits of root transactions.")
    savepoints_released: int = Field(description="Savepoints that were released.")
    rolled_back: int = Field(description="Explicit rollbacks of root transactions.")
    discarded: int = Field(
        description="Root transactions with writes that ended with neither commit nor rollback."
    )
    flushes: int = Field(description="Flushes that had something to write.")
    statements: int = Field(description="Statements that were executed.")
    writes: int = Field(description="Statements that changed rows.")
    checkouts: int = Field(description="Connections taken from a pool.")
    checkins: int = Field(description="Connections that came back, however they did.")
    held_seconds: float = Field(description="How long connections were out, added up.")
    idle_seconds: float = Field(description="How much of that time no statement was running.")
    held_p50_seconds: float | None = Field(
        description="What half of the closed sessions that used a connection held one for at most."
    )
    held_p99_seconds: float | None = Field(description="The same of 99 in a hundred.")
    held_histogram: dict[str, int] = Field(
        description="What these come from: how many sessions there were of each of eight steps per "
        "power of two of nanoseconds."
    )


class SessionWatchOwner(BaseModel):
    """Whom a session belongs to."""

    id: int = Field(description="Its number in this process, by which its course is asked for.")
    kind: str = Field(description="request, websocket, job or process.")
    name: str = Field(description="Its route, or what the job is called; a key of `routes`.")
    route: str | None = Field(description="Method and template, such as GET /items/{id}.")
    status: int | None = Field(description="The status that was answered, once it is known.")
    error: str | None = Field(description="The class of the exception that left the owner.")
    cancelled: bool = Field(description="Whether it was cancelled.")


class SessionWatchPlace(BaseModel):
    """A line of source code."""

    file: str = Field(description="Its path.")
    line: int = Field(description="Its number, from 1.")
    function: str = Field(description="The function that it is in.")


class SessionWatchFrame(SessionWatchPlace):
    """A frame of a call stack, and whose code it is."""

    origin: str = Field(description="application, library, machinery or event loop.")


class SessionWatchFinding(BaseModel):
    """Something that went wrong, or may have, with the line that opened the session."""

    code: str = Field(description="Stable, such as SW101.")
    name: str = Field(description="What goes with the code, such as session-leak.")
    severity: Literal["error", "warning", "info"] = Field(description="How much it matters.")
    evidence: Literal["proof", "lost work", "suspect"] = Field(description="What it rests on.")
    message: str = Field(description="What happened, where; enough by itself.")
    cause: str = Field(description="What it mostly comes from.")
    fix: str = Field(description="What to do about it.")
    count: int = Field(description="How often the same thing was seen.")
    owner: SessionWatchOwner = Field(description="Whom it was seen of last.")
    opened_at: SessionWatchPlace | None = Field(
        description="Where the session or connection was opened."
    )
    stack: list[SessionWatchFrame] = Field(description="The opening stack, innermost first.")
    related: list[str] = Field(description="Codes of what the same cause would have brought.")
    details: dict[str, Any] = Field(description="Numbers that the message speaks of.")
    first_seen: str = Field(description="UTC, in ISO 8601.")
    last_seen: str = Field(description="UTC, in ISO 8601.")


class SessionWatchOpenSession(BaseModel):
    """A session that is open now."""

    id: str = Field(description="The same as long as it is open.")
    owner: SessionWatchOwner = Field(description="Who opened it.")
    state: str = Field(description="open, in transaction or busy.")
    age_seconds: float = Field(description="Since it was made.")
    idle_seconds: float = Field(description="Since its last statement ended.")
    connections_out: int = Field(description="Connections that it holds.")
    uncommitted_writes: int = Field(description="Writing statements of its open transaction.")
    last_statement: str | None = Field(description="Without parameters, and cut in length.")
    opened_at: SessionWatchPlace | None = Field(description="The application's line that made it.")
    stack: list[SessionWatchFrame] = Field(description="The opening stack, innermost first.")
    owner_ended: bool = Field(description="Whether it outlived the request that opened it.")


class SessionWatchSample(BaseModel):
    """What a pool was like at a moment."""

    seconds_ago: float = Field(description="When that was.")
    checked_out: int = Field(description="Connections that were out.")
    waiting: int = Field(description="How many waited for one.")


class SessionWatchPool(BaseModel):
    """The connection pool of an engine."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(description="The engine's URL without user, password and options.")
    class_name: str = Field(alias="class", description="The pool's class, such as QueuePool.")
    size: int | None = Field(description="Connections it keeps; null where it has no size.")
    max_overflow: int | None = Field(
        description="Connections beyond its size; -1 for any number, null where it has no size."
    )
    checked_out: int = Field(description="Connections that are out now.")
    idle: int | None = Field(
        description="Connections that it has to give without making one; null if it keeps none."
    )
    overflow: int | None = Field(description="Connections out beyond its size; null without one.")
    waiting: int = Field(description="How many wait for a connection now.")
    checkouts: int = Field(description="Connections that were taken.")
    checkins: int = Field(description="Connections that came back, however they did.")
    waits: int = Field(description="Checkouts that began when all connections were out.")
    timeouts: int = Field(description="Checkouts that waited in vain.")
    held_seconds: float = Field(description="How long those that came back were out, added up.")
    waited_seconds: float = Field(description="How long checkouts waited, added up.")
    history: list[SessionWatchSample] = Field(
        description="The last minutes, oldest first; empty where no watchdog looks."
    )


class SessionWatchInternalErrors(BaseModel):
    """Exceptions of sessionwatch's own, none of which reached the application."""

    count: int = Field(description="How many there were; 0 in good health.")
    by_hook: dict[str, int] = Field(description="How many in each place; the first is logged.")


class SessionWatchMatching(BaseModel):
    """How many rows there are in all."""

    open_sessions: int = Field(description="Open sessions, on all pages.")
    findings: int = Field(description="Findings, also beyond `limit`.")


class SessionWatchReport(BaseModel):
    """All that the watch knows now."""

    totals: SessionWatchNumbers = Field(description="Over all routes, whatever the filters.")
    routes: dict[str, SessionWatchNumbers] = Field(
        description="The same numbers per owner's name: a route, a job, or the process."
    )
    matching: SessionWatchMatching = Field(
        description="How many the filters let through, of which `limit` are listed."
    )
    open_sessions: list[SessionWatchOpenSession] = Field(
        description="Oldest first, or longest idle."
    )
    findings: list[SessionWatchFinding] = Field(description="The last seen first.")
    pools: list[SessionWatchPool] = Field(description="Every pool of the process, unfiltered.")
    settings: dict[str, Any] = Field(description="In force now, the token hidden.")
    internal_errors: SessionWatchInternalErrors = Field(
        description="What went wrong in sessionwatch itself."
    )
    unused_ignores: list[str] = Field(
        description="Entries of `ignore` and `per_route_ignores` that no finding has matched yet."
    )
    dropped: dict[str, int] = Field(
        description="What the bounds in `settings` kept out, each by its name without `max_`: "
        "findings not kept; owners counted under (other) in `routes`; sessions that outlived their "
        "owner, sessions of one owner, and owners under way, all counted but not followed one by "
        "one; sessions without their stack; transactions and engine URLs forgotten."
    )


class SessionWatchSpan(BaseModel):
    """A stretch of a lane, in seconds since the owner began."""

    model_config = ConfigDict(populate_by_name=True)

    since: float = Field(alias="from", description="When it began.")
    to: float | None = Field(description="When it ended; none while it goes on.")
    state: str = Field(
        description="What it is, or what became of it: running, open, in transaction, closed, "
        "collected, committed, rolled back, discarded, out, returned, reclaimed or terminated."
    )


class SessionWatchMoment(BaseModel):
    """Something that happened at one moment."""

    at: float = Field(description="Seconds since the owner began.")
    kind: str = Field(description="What it was, such as commit or rollback.")
    words: str = Field(description="The same as the end of a sentence about the lane.")
    place: SessionWatchPlace | None = Field(description="The line that did it, where it is known.")
    writes: int = Field(description="How many writes it decided about.")


class SessionWatchLane(BaseModel):
    """The owner itself, a session, its transactions, or its connections."""

    kind: str = Field(description="owner, session, transaction or connection.")
    title: str = Field(description="What it is called.")
    session: int | None = Field(description="The number of the session that it belongs to.")
    spans: list[SessionWatchSpan] = Field(description="The bars, in order.")
    moments: list[SessionWatchMoment] = Field(description="What happened, in order.")


class SessionWatchPin(BaseModel):
    """A finding, at the moment that it speaks of."""

    at: float = Field(description="Seconds since the owner began.")
    code: str = Field(description="Such as SW101.")
    severity: str = Field(description="error, warning or info.")
    message: str = Field(description="What was found.")


class SessionWatchTimeline(BaseModel):
    """What one owner did, and when."""

    owner: SessionWatchOwner = Field(description="Whose course it is.")
    began: str = Field(description="When it began: UTC, ISO 8601.")
    seconds: float = Field(description="How long the course is, up to now if anything goes on.")
    response_started: float = Field(description="When the response did; 0 if it has not.")
    ended: bool = Field(description="Whether the owner is over.")
    sessions_left_out: int = Field(description="How many more sessions there were.")
    lanes: list[SessionWatchLane] = Field(description="From top to bottom.")
    findings: list[SessionWatchPin] = Field(description="In the order of their moments.")


class SessionWatchRefusal(BaseModel):
    """Why nothing is shown, and what to do."""

    detail: str = Field(description="One sentence.")
