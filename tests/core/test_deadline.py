"""The deadline: what an attempt gets, and what bounds it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.deadline import bounded, part
from sidecar.core.vocabulary import Binding

DEADLINE = 10.0


@pytest.mark.parametrize(
    ("now", "own", "reserved", "timeout", "binding"),
    [
        (6.0, None, 0.0, 4.0, Binding.DEADLINE),
        (6.0, None, 1.5, 2.5, Binding.DEADLINE),
        (6.0, 1.0, 1.5, 1.0, Binding.ATTEMPT),
        (6.0, 2.5, 1.5, 2.5, Binding.ATTEMPT),
        (6.0, 3.0, 1.5, 2.5, Binding.DEADLINE),
        (6.0, None, 2.0, 2.0, Binding.DEADLINE),
        (6.0, None, 3.0, 2.0, Binding.DEADLINE),  # those below keep back at most half
        (9.0, None, 1.5, 0.5, Binding.DEADLINE),
        (10.0, None, 1.5, 0.0, Binding.DEADLINE),
        (11.0, None, 1.5, -1.0, Binding.DEADLINE),
    ],
)
def test_an_attempt_gets_its_own_timeout_or_what_the_targets_below_leave(now, own, reserved, timeout, binding):
    assert bounded(part(DEADLINE, now, reserved), now, own) == (timeout, binding)


def test_the_worked_example_of_five_seconds():
    assert bounded(part(4.75, 0.0, 1.5), 0.0, None) == (3.25, Binding.DEADLINE)


@given(st.floats(0, 10), st.one_of(st.none(), st.floats(0.001, 20)), st.floats(0, 20))
def test_no_attempt_may_outlast_the_deadline_nor_take_more_than_its_own_timeout(now, own, reserved):
    until = part(DEADLINE, now, reserved)
    timeout, binding = bounded(until, now, own)
    assert now + timeout <= DEADLINE + 1e-9
    assert until - now >= (DEADLINE - now) / 2 - 1e-9
    assert (binding is Binding.ATTEMPT) == (own is not None and own <= until - now)


def test_a_part_is_taken_once_so_that_retries_do_not_eat_the_reserve_half_by_half():
    until = part(4.0, 0.0, 3.0)
    assert [until - now for now in (0.0, 1.0, 1.5)] == [2.0, 1.0, 0.5]
