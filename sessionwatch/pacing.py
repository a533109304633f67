"""Long loops over what is watched, without keeping other threads from the interpreter."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_ITEMS_BETWEEN_PAUSES = 256
_Item = TypeVar("_Item")


def paced(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items, and let a thread that waits run after every 256 of them.

    A thread that never pauses keeps the interpreter for 5 ms at a time (`sys.getswitchinterval`).
    """
    for number, item in enumerate(items, start=1):
        yield item
        if not number % _ITEMS_BETWEEN_PAUSES:
            time.sleep(0)
