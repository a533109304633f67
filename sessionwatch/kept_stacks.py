"""Stacks that are kept for long: equal ones once, and no more of them than there is room for."""

from __future__ import annotations

import weakref

from sessionwatch.records.stack import NO_STACK, RawFrame, Stack

_Key = tuple[tuple[RawFrame, ...], tuple[str, ...]]


class _KeptStack(Stack):
    """A stack that is forgotten with the last record that has it."""

    __slots__ = ("__weakref__",)


class KeptStacks:
    """The different stacks that records have which are kept beyond their owner's end.

    Comparing code is slow, so that stacks are not looked up here when a session is opened.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: weakref.WeakValueDictionary[_Key, _KeptStack] = weakref.WeakValueDictionary()
        self.refused = 0
        """How many stacks there was no room for."""

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, stack: Stack) -> Stack:
        """Return the stack to keep in this one's place: an equal one, or none if there is no room.

        The files are compared as well: the code of a copied file equals that of the original.
        """
        if not stack.raw:
            return stack
        key = stack.raw, tuple(code.co_filename for code, _ in stack.raw)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= self._most:
                self.refused += 1
                return NO_STACK
            kept = self._kept[key] = _KeptStack(stack.raw)
        return kept
