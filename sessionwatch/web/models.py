"""What `/debug/sessions` answers with, for its OpenAPI description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Numbers(BaseModel):
    """What was counted, of one route or in total; a session under way counts as it stands."""

    model_config = ConfigDict(extra="forbid")

    owners: int = Field(description="Requests and jobs that used a session or a connection.")
    open: int = Field(description="Sessions that are neither closed nor collected.")
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


class Owner(BaseModel):
    """Whom a session belongs to."""

    kind: str = Field(description="request, websocket, job or process.")
    name: str
    route: str | None = Field(description="Method and template, such as GET /items/{id}.")
    status: int | None = Field(description="The status that was answered, once it is known.")
    error: str | None = Field(description="The class of the exception that left the owner.")
    cancelled: bool


class Place(BaseModel):
    """A line of source code."""

    file: str
    line: int
    function: str


class StackFrame(Place):
    """A frame of a call stack, and whose code it is."""

    origin: str = Field(description="application, library, machinery or event loop.")


class Finding(BaseModel):
    """Something that went wrong, or may have, with the line that opened the session."""

    code: str = Field(description="Stable, such as SW101.")
    name: str = Field(description="What goes with the code, such as session-leak.")
    severity: Literal["error", "warning", "info"]
    evidence: Literal["proof", "lost work", "suspect"]
    message: str = Field(description="Enough by itself.")
    fix: str
    count: int = Field(description="How often the same thing was seen.")
    owner: Owner = Field(description="Whom it was seen of last.")
    opened_at: Place | None = Field(description="Where the session or connection was opened.")
    stack: list[StackFrame] = Field(description="The opening stack, innermost first.")
    related: list[str] = Field(description="Codes of what the same cause would have brought.")
    details: dict[str, Any] = Field(description="Numbers that the message speaks of.")
    first_seen: str = Field(description="UTC, in ISO 8601.")
    last_seen: str = Field(description="UTC, in ISO 8601.")


class OpenSession(BaseModel):
    """A session that is open now."""

    owner: Owner
    state: Literal["open", "in transaction", "busy"]
    age_seconds: float
    idle_seconds: float = Field(description="Since its last statement ended.")
    connections_out: int
    uncommitted_writes: int
    last_statement: str | None = Field(description="Without parameters, and cut in length.")
    opened_at: Place | None
    stack: list[StackFrame]
    owner_ended: bool = Field(description="Whether it outlived the request that opened it.")


class Pool(BaseModel):
    """The connection pool of an engine."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(description="The engine's URL without user, password and options.")
    class_name: str = Field(alias="class")
    size: int | None
    max_overflow: int | None
    checked_out: int = Field(description="Connections that are out now.")
    checkouts: int
    checkins: int
    timeouts: int = Field(description="Checkouts that waited in vain.")
    held_seconds: float


class InternalErrors(BaseModel):
    """Exceptions of sessionwatch's own, none of which reached the application."""

    count: int
    by_hook: dict[str, int]


class SessionsReport(BaseModel):
    """All that the watch knows now."""

    totals: Numbers = Field(description="Over all routes, whatever the filters.")
    routes: dict[str, Numbers]
    open_sessions: list[OpenSession] = Field(description="Oldest first.")
    findings: list[Finding] = Field(description="In the order in which they were first seen.")
    pools: list[Pool]
    settings: dict[str, Any]
    internal_errors: InternalErrors


class Refusal(BaseModel):
    """Why nothing is shown, and what to do."""

    detail: str
