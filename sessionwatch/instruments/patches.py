"""Methods wrapped on a class, and put back."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


class Patch:
    """One method of a class or function of a module, replaced between `apply` and `remove`."""

    def __init__(self, owner: type | ModuleType, name: str, wrap: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._wrap = wrap
        self._original: Any = None
        self._wrapper: Any = None
        self._buried = False

    def apply(self) -> None:
        """Put the wrapper in the method's place, unless it is there still."""
        current = self._owner.__dict__[self._name]
        if current is self._wrapper or (self._buried and current is not self._original):
            return
        self._original = current
        self._wrapper = self._wrap(current)
        setattr(self._owner, self._name, self._wrapper)

    def remove(self) -> None:
        """Put the method back, unless somebody else has wrapped ours since.

        Then ours stays under theirs and does nothing: with no watch running, no hook records.
        """
        self._buried = self._owner.__dict__[self._name] is not self._wrapper
        if not self._buried:
            setattr(self._owner, self._name, self._original)
