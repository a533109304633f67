"""Every way to write the dependency that the shop can be run with, and what is wrong with it.

Their code stands in `dependencies`, and in `units_of_work` where it takes more than a dependency;
their twins for an AsyncSession stand in `async_variants`.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from demo_app.dependencies import (
    begin,
    close_only,
    commit_unhandled,
    full,
    no_finally,
    no_yield,
    rollback_no_finally,
    with_session,
)
from demo_app.units_of_work import (
    Wiring,
    http_middleware,
    middleware_commit,
    response_commit,
    scoped,
    transactional,
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to write `get_db`."""

    key: str
    title: str
    origin: str
    """Where the quiz has it."""
    commits: Literal["dependency", "handler", "middleware", "decorator"]
    """Whose task it is to commit."""
    build: Callable[[Any], Callable[..., Any] | Wiring]
    faulty_line: str = ""
    """The text of the line at fault, or nothing."""
    fault_reason: str = ""
    scope: Literal["function"] | None = None
    is_async: bool = False

    def wire(self, create_session: Any) -> Wiring:
        """Return what goes into the application, with sessions from that factory."""
        built = self.build(create_session)
        return built if isinstance(built, Wiring) else Wiring(built)

    @property
    def source(self) -> str:
        """The `get_db`, and what belongs to it, as one would write them."""
        lines = inspect.getsource(self.build).splitlines()
        return textwrap.dedent("\n".join(lines[1:-1]))

    @property
    def fault(self) -> int | None:
        """The number of the line at fault in `source`, from 1, or None."""
        if not self.faulty_line:
            return None
        lines = [line.strip() for line in self.source.splitlines()]
        return lines.index(self.faulty_line) + 1


_LATE_COMMIT = (
    "FastAPI 0.118 and newer run it when the response has been sent: if it fails, the client has "
    "been told of success."
)

_AFTER_THE_APPLICATION = (
    "By then the response has been sent, with every FastAPI: if the commit fails, the client has "
    "been told of success. And an HTTPException has become an answer by then: what it should have "
    "undone is committed."
)

VARIANTS: tuple[Variant, ...] = (
    Variant(
        "no-finally",
        "close after the yield, without finally",
        "question 4",
        "handler",
        no_finally,
        "db.close()",
        "An exception leaves at the yield, and the close is never reached.",
    ),
    Variant(
        "full",
        "commit, or roll back and raise, and always close",
        "question 5, answer A",
        "dependency",
        full,
        "db.commit()",
        _LATE_COMMIT,
    ),
    Variant(
        "commit-unhandled",
        "commit and close after the yield, nothing handled",
        "question 5, answer B",
        "dependency",
        commit_unhandled,
        "db.commit()",
        "An exception before or in it skips the close: nothing rolls back, nothing is returned.",
    ),
    Variant(
        "close-only",
        "try and finally, without a commit",
        "question 5, answer C",
        "handler",
        close_only,
        "db.close()",
        "It drops whatever the handler has not committed, without a word.",
    ),
    Variant(
        "rollback-no-finally",
        "roll back and close after the yield",
        "question 5, answer D",
        "handler",
        rollback_no_finally,
        "db.rollback()",
        "It takes back what a handler that went well has written, and an exception skips it.",
    ),
    Variant(
        "no-yield",
        "return the session",
        "not in the quiz; often seen",
        "handler",
        no_yield,
        "return SessionLocal()",
        "Nobody is left to close the session.",
    ),
    Variant(
        "begin",
        "with SessionLocal.begin()",
        "not in the quiz; in SQLAlchemy's documentation",
        "dependency",
        begin,
        "yield db",
        "The commit at the end of the with block comes late: " + _LATE_COMMIT,
    ),
    Variant(
        "with-session",
        "with SessionLocal() as db",
        "not in the quiz; in SQLModel's documentation, as with Session(engine)",
        "handler",
        with_session,
        "with SessionLocal() as db:",
        "The end of its block drops whatever the handler has not committed, without a word.",
    ),
    Variant(
        "http-middleware",
        "a BaseHTTPMiddleware commits after call_next",
        "not in the quiz; often seen, also as @app.middleware",
        "middleware",
        http_middleware,
        "db.commit()",
        "An HTTPException has become an answer by then: what it should have undone is committed.",
    ),
    Variant(
        "middleware-commit",
        "an ASGI middleware commits after the application",
        "not in the quiz; often seen",
        "middleware",
        middleware_commit,
        "db.commit()",
        _AFTER_THE_APPLICATION,
    ),
    Variant(
        "scoped-session",
        "a scoped_session that a middleware commits and removes",
        "not in the quiz; often seen",
        "middleware",
        scoped,
        "registry.commit()",
        _AFTER_THE_APPLICATION,
    ),
    Variant(
        "response-commit",
        "an ASGI middleware commits before a good response",
        "not in the quiz; seen now and then",
        "middleware",
        response_commit,
    ),
    Variant(
        "decorator",
        "@transactional around each handler",
        "not in the quiz; often seen",
        "decorator",
        transactional,
        "db.commit()",
        "What it commits stays when FastAPI then refuses the answer, which the response model "
        "checks later, or when the handler returned an error response rather than raising.",
    ),
    Variant(
        "recommended",
        'answer A, injected with scope="function"',
        "question 5, answer A, as it should be injected",
        "dependency",
        full,
        scope="function",
    ),
)


def find_variant(key: str, is_async: bool = False) -> Variant:
    """Return the variant of that key; raises `KeyError` when there is none."""
    if is_async:
        from demo_app.async_variants import ASYNC_VARIANTS

        return _by_key(ASYNC_VARIANTS)[key]
    return _by_key(VARIANTS)[key]


def _by_key(variants: tuple[Variant, ...]) -> dict[str, Variant]:
    return {variant.key: variant for variant in variants}
