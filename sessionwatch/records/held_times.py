"""How long sessions held their connections, as a histogram that adds up."""

from __future__ import annotations

from math import ceil

_STEPS_PER_DOUBLING = 8
_SHIFT = _STEPS_PER_DOUBLING.bit_length() - 1
_EXACT_BITS = _SHIFT + 1
"""Times of no more bits are steps of their own."""


class HeldTimes:
    """Times in nanoseconds, each known to an eighth of its power of two.

    Bounded: a time is one of `_STEPS_PER_DOUBLING` steps of one of about forty powers of two.
    """

    __slots__ = ("_steps",)

    def __init__(self, steps: dict[int, int] | None = None) -> None:
        self._steps = {} if steps is None else steps

    def __eq__(self, other: object) -> bool:
        return self.steps() == other.steps() if isinstance(other, HeldTimes) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def note(self, held_ns: int) -> None:
        """Note a time."""
        step = _step(held_ns)
        self._steps[step] = self._steps.get(step, 0) + 1

    def take_back(self, held_ns: int) -> None:
        """Forget a time that was noted."""
        step = _step(held_ns)
        self._steps[step] = self._steps.get(step, 0) - 1

    def add(self, other: HeldTimes) -> None:
        """Add all times of `other`."""
        for step, times in other.steps().items():
            self._steps[step] = self._steps.get(step, 0) + times

    def copy(self) -> HeldTimes:
        """Return the same times, which what is noted later leaves alone; takes next to no time."""
        return HeldTimes(self._steps.copy())

    def steps(self) -> dict[int, int]:
        """Return how many times there are of each step, by the step."""
        return {step: times for step, times in sorted(self._steps.items()) if times}

    def quantile(self, share: float) -> float | None:
        """Return the time, in nanoseconds, that `share` of all are below; None where there is none.

        It is the middle of a step, and so at most a sixteenth off.
        """
        steps = self.steps()
        left = ceil(sum(steps.values()) * share)
        for step, times in steps.items():
            left -= times
            if left <= 0:
                return _middle(step)
        return None


def _step(held_ns: int) -> int:
    """Return the step of a time: twice its power of two's steps, and its place among them."""
    shift = held_ns.bit_length() - _EXACT_BITS
    if shift > 0 and held_ns > 0:
        return (shift << _SHIFT) + (held_ns >> shift)
    return max(0, held_ns)


def _middle(step: int) -> float:
    """Return the middle of the times of a step."""
    shift = max(0, (step >> _SHIFT) - 1)
    lowest = (step - (shift << _SHIFT)) << shift
    return lowest + ((1 << shift) - 1) / 2
