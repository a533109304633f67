"""How long sessions held their connections: each time nearly, and all of them together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionwatch.records.held_times import HeldTimes

times = st.integers(min_value=0, max_value=1 << 50)


def _of(held):
    noted = HeldTimes()
    for each in held:
        noted.note(each)
    return noted


@given(times)
def test_a_time_alone_is_every_quantile_and_at_most_a_sixteenth_off(held_ns):
    noted = _of([held_ns])
    for share in (0.01, 0.5, 0.99, 1.0):
        assert abs(noted.quantile(share) - held_ns) <= max(0.5, held_ns / 16)


@given(st.lists(times, min_size=1, max_size=300))
def test_quantiles_are_those_of_the_sorted_times(held):
    for share in (0.5, 0.99):
        rank = max(1, -(-len(held) * share // 1))
        right = sorted(held)[int(rank) - 1]
        assert abs(_of(held).quantile(share) - right) <= max(0.5, right / 16)


@given(st.lists(times, max_size=150), st.lists(times, max_size=150))
def test_they_add_up(some, others):
    both = _of(some)
    both.add(_of(others))
    assert both.steps() == _of(some + others).steps()


@given(st.lists(times, max_size=150), times)
def test_what_is_taken_back_was_never_there(held, mistaken):
    noted = _of([mistaken, *held])
    noted.take_back(mistaken)
    assert noted.steps() == _of(held).steps()


def test_there_is_no_quantile_of_nothing():
    assert HeldTimes().quantile(0.5) is None


def test_a_copy_stays_as_it_was():
    noted = _of(range(100))
    copy = noted.copy()
    noted.note(1 << 40)
    assert sum(copy.steps().values()) == 100


def test_the_steps_that_are_kept_are_few():
    assert len(_of(range(0, 1 << 20, 7)).steps()) <= 8 * 20


@pytest.mark.parametrize("number", [1, 63, 64, 65, 1000])
def test_none_is_lost(number):
    assert sum(_of(range(number)).steps().values()) == number
