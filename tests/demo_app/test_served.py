"""What only a real server shows of the shop: many clients at once, and one that goes away."""

from __future__ import annotations

import fastapi
import pytest

from demo_app.application import function_scope_supported
from demo_app.variants import Variant, find_variant

# BaseHTTPMiddleware of Starlette 0.38 leaves a stream of its own open when the handler fails.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObjectReceiveStream:ResourceWarning"
)

FASTAPI = tuple(int(part) for part in fastapi.__version__.split(".")[:2])
CLIENTS = 20

sync_and_async = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def ends_before_the_stream(variant: Variant) -> bool:
    """Whether the dependency's lines after the yield run before the response is sent."""
    return FASTAPI < (0, 118) or (variant.scope == "function" and function_scope_supported())


@sync_and_async
def test_transfers_at_once_neither_make_nor_lose_coins(open_shop, is_async):
    shop = open_shop(find_variant("recommended", is_async))
    assert shop.ask_at_once("/transfer", {"amount": 3}, CLIENTS) == [200] * CLIENTS
    assert shop.read("SELECT name, balance FROM accounts") == [("alice", 40), ("bob", 160)]


@sync_and_async
def test_an_account_is_never_overdrawn(open_shop, is_async):
    shop = open_shop(find_variant("recommended", is_async))
    statuses = shop.ask_at_once("/transfer", {"amount": 30}, CLIENTS)
    assert sorted(statuses) == [200] * 3 + [409] * (CLIENTS - 3)
    assert shop.read("SELECT name, balance FROM accounts") == [("alice", 10), ("bob", 190)]


@pytest.mark.parametrize("key", ["full", "recommended"])
def test_a_client_that_leaves_a_stream(open_shop, key):
    """A session that was closed before the stream read through it is opened again by that."""
    variant = find_variant(key)
    shop = open_shop(variant)
    assert shop.leave_in_mid_stream() == "commit close"
    assert shop.out() == (1 if ends_before_the_stream(variant) else 0)
    shop.collect_garbage()
    assert shop.out() == 0


@pytest.mark.parametrize("key", ["full", "recommended"])
def test_a_client_that_leaves_an_async_stream(open_shop, key):
    """It may go while a statement is awaited, which ends the connection: only the end is sure."""
    shop = open_shop(find_variant(key, is_async=True))
    assert shop.leave_in_mid_stream().endswith("close")
    shop.collect_garbage()
    assert shop.out() == 0
