"""The numbers: they add up, and come apart again."""

from __future__ import annotations

import random

from sessionwatch.records.counts import COUNT_NAMES, Counts


def _some(seed):
    numbers = random.Random(seed)
    return Counts(**{name: numbers.randrange(100) for name in COUNT_NAMES})


def test_add_and_subtract_are_inverse():
    for seed in range(20):
        total, other = _some(seed), _some(seed + 100)
        total.add(other)
        total.subtract(other)
        assert total == _some(seed)


def test_add_adds_every_number():
    total = Counts()
    total.add(_some(1))
    total.add(_some(2))
    for name in COUNT_NAMES:
        assert getattr(total, name) == getattr(_some(1), name) + getattr(_some(2), name)


def test_open_is_what_is_neither_closed_nor_collected():
    assert Counts(opened=7, closed=3, collected=2).open == 2
