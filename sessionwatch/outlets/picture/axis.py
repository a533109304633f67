"""A time axis that leaves room for every moment, however short the time to the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

_SPARE = 360.0
"""How much width is given out in proportion to time."""


class Axis:
    """Places moments from left to right in their order.

    Between two moments there is at least the room that the earlier one needs, and more where more
    time passed: of a request that waits for a second and ends within a millisecond, both is seen.
    """

    def __init__(self, moments: Iterable[tuple[float, float]], left: float) -> None:
        """Take each moment in seconds with the room that is needed to its right."""
        rooms: dict[float, float] = {}
        for at, room in moments:
            rooms[at] = max(room, rooms.get(at, 0.0))
        self._times = sorted(rooms)
        whole = self._times[-1] - self._times[0] or 1.0
        self._places = [left]
        for at, following in zip(self._times, self._times[1:], strict=False):
            share = _SPARE * (following - at) / whole
            self._places.append(self._places[-1] + rooms[at] + share)
        self.right = self._places[-1] + rooms[self._times[-1]]

    def __call__(self, at: float) -> float:
        """Return the place of a moment; one that was not told of stands between its neighbours."""
        index = bisect_right(self._times, at) - 1
        if index < 0:
            return self._places[0]
        if self._times[index] == at or index + 1 == len(self._times):
            return self._places[index]
        since, until = self._times[index], self._times[index + 1]
        share = (at - since) / (until - since)
        return self._places[index] + share * (self._places[index + 1] - self._places[index])
