"""What each `get_db` really calls, and what it leaves in the pool and the database.

Measured on a real server. Since FastAPI 0.118 the lines after a `yield` run when the client has
its answer already; since 0.121 `scope="function"` lets them run before it, as they did until 0.117.
"""

from __future__ import annotations

import fastapi
import pytest

from demo_app.application import function_scope_supported
from demo_app.async_variants import ASYNC_VARIANTS
from demo_app.variants import VARIANTS, Variant

# BaseHTTPMiddleware of Starlette 0.38 leaves a stream of its own open when the handler fails.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObjectReceiveStream:ResourceWarning"
)

FASTAPI = tuple(int(part) for part in fastapi.__version__.split(".")[:2])
NOTHING_CALLED = ("", 1, 0)

# The calls on the session, the connections that are out afterwards, the orders in the database.
# `begin` commits through its transaction and not through the session: the order tells.
HANDLER_SUCCEEDS = {
    "no-finally": ("close", 0, 0),
    "full": ("commit close", 0, 1),
    "commit-unhandled": ("commit close", 0, 1),
    "close-only": ("close", 0, 0),
    "rollback-no-finally": ("rollback close", 0, 0),
    "no-yield": NOTHING_CALLED,
    "begin": ("close", 0, 1),
    "with-session": ("close", 0, 0),
    "http-middleware": ("commit close", 0, 1),
    "middleware-commit": ("commit close", 0, 1),
    "scoped-session": ("commit close", 0, 1),
    "response-commit": ("commit close", 0, 1),
    "decorator": ("commit close", 0, 1),
    "recommended": ("commit close", 0, 1),
}
HANDLER_FAILS = {
    "no-finally": NOTHING_CALLED,
    "full": ("rollback close", 0, 0),
    "commit-unhandled": NOTHING_CALLED,
    "close-only": ("close", 0, 0),
    "rollback-no-finally": NOTHING_CALLED,
    "no-yield": NOTHING_CALLED,
    "begin": ("close", 0, 0),
    "with-session": ("close", 0, 0),
    "http-middleware": ("rollback close", 0, 0),
    "middleware-commit": ("rollback close", 0, 0),
    "scoped-session": ("rollback close", 0, 0),
    "response-commit": ("rollback close", 0, 0),
    "decorator": ("rollback close", 0, 0),
    "recommended": ("rollback close", 0, 0),
}
# An HTTPException is an answer when it comes to a middleware; the response model is asked for its
# opinion when the handler, and what goes around it, is done.
COMMITTED_ALL_THE_SAME = {
    ("http-middleware", "http-exception"),
    ("middleware-commit", "http-exception"),
    ("scoped-session", "http-exception"),
    ("decorator", "bad-response"),
}
DATABASE_REFUSES_THE_COMMIT = {
    "no-finally": ("close", 0, 0),
    "full": ("commit rollback close", 0, 0),
    "commit-unhandled": ("commit", 1, 0),
    "close-only": ("close", 0, 0),
    "rollback-no-finally": ("rollback close", 0, 0),
    "no-yield": NOTHING_CALLED,
    "begin": ("close", 0, 0),
    "with-session": ("close", 0, 0),
    "http-middleware": ("commit rollback close", 0, 0),
    "middleware-commit": ("commit rollback close", 0, 0),
    "scoped-session": ("commit rollback close", 0, 0),
    "response-commit": ("commit rollback close", 0, 0),
    "decorator": ("commit rollback close", 0, 0),
    "recommended": ("commit rollback close", 0, 0),
}
# `async_sessionmaker.begin()` gives the connection back but skips the close, unlike the sync one.
ASYNC_BEGIN_IS_REFUSED_THE_COMMIT = ("", 0, 0)

COMMITS_BEFORE_THE_ANSWER = ("http-middleware", "response-commit", "decorator")

every_variant = pytest.mark.parametrize(
    "variant",
    [*VARIANTS, *ASYNC_VARIANTS],
    ids=lambda variant: f"{variant.key}-{'async' if variant.is_async else 'sync'}",
)


def commits_before_the_answer(variant: Variant) -> bool:
    """Whether a commit that nobody does in the handler can still change what the client is told."""
    if variant.commits != "dependency":
        return variant.key in COMMITS_BEFORE_THE_ANSWER
    return FASTAPI < (0, 118) or (variant.scope == "function" and function_scope_supported())


def returned_by_the_collector(shop, variant: Variant, out: int) -> bool:
    """Whether nothing is out after a collection, with a warning for each async connection."""
    said = shop.collect_garbage()
    return shop.out() == 0 and len(said) == (out if variant.is_async else 0)


@every_variant
def test_the_handler_succeeds(variant, open_shop):
    shop = open_shop(variant)
    status, seen = shop.ask("/orders")
    assert (status, seen) == (200, HANDLER_SUCCEEDS[variant.key])
    assert returned_by_the_collector(shop, variant, seen.out)


@pytest.mark.parametrize(
    ("path", "expected_status"),
    [("http-exception", 400), ("unhandled", 500), ("bad-response", 500)],
)
@every_variant
def test_the_handler_fails_after_a_write(variant, path, expected_status, open_shop):
    shop = open_shop(variant)
    status, seen = shop.ask(f"/orders/{path}")
    kept = (variant.key, path) in COMMITTED_ALL_THE_SAME
    expected = ("commit close", 0, 1) if kept else HANDLER_FAILS[variant.key]
    assert (status, seen) == (expected_status, expected)
    assert returned_by_the_collector(shop, variant, seen.out)


@every_variant
def test_the_database_refuses_the_commit(variant, open_shop):
    expected = DATABASE_REFUSES_THE_COMMIT[variant.key]
    if variant.is_async and variant.key == "begin":
        expected = ASYNC_BEGIN_IS_REFUSED_THE_COMMIT
    shop = open_shop(variant)
    status, seen = shop.ask("/orders/deferred")
    assert (status, seen) == (500 if commits_before_the_answer(variant) else 200, expected)
    if variant.is_async and variant.key == "commit-unhandled":
        held_by_the_driver_until_it_works_again(shop)
    assert returned_by_the_collector(shop, variant, seen.out)


def held_by_the_driver_until_it_works_again(shop) -> None:
    """No collection helps: aiosqlite's idle thread has its last error, whose frames have `db`."""
    assert shop.collect_garbage() == []
    assert shop.out() == 1
    shop.occupy_drivers()
