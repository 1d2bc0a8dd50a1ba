"""The latency record: a quantile by its definition over a sorted list of the last answers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.record import ENOUGH, SIZE, LatencyRecord

SECONDS = st.one_of(st.sampled_from([0.1, 0.2, 0.2, 5.0]), st.floats(0, 60, allow_nan=False))


def defined(values: list[float], share: Fraction) -> float:
    """The smallest value that at least ``share`` of them do not exceed."""
    return next(v for v in sorted(values) if Fraction(sum(w <= v for w in values), len(values)) >= share)


@given(st.lists(SECONDS, min_size=ENOUGH, max_size=SIZE + 60), st.sampled_from([0, 1, 50, 90, 95, 99, 100]))
def test_a_quantile_is_the_smallest_duration_that_this_share_does_not_exceed(values, percent):
    record = LatencyRecord()
    for value in values:
        record.observe(value)
    assert len(record) == min(len(values), SIZE)
    assert record.quantile(percent / 100) == defined(values[-SIZE:], Fraction(percent, 100))


@pytest.mark.parametrize("n", range(ENOUGH, SIZE + 1))
def test_the_95th_percentile_has_exactly_its_rank_for_every_count(n):
    record = LatencyRecord()
    for value in range(1, n + 1):
        record.observe(float(value))
    assert record.quantile(0.95) == -(-95 * n // 100)


def test_one_slow_answer_in_twenty_is_no_95th_percentile():
    record = LatencyRecord()
    for seconds in [9.0, *[0.1] * 19]:
        record.observe(seconds)
    assert record.quantile(0.95) == 0.1


def test_before_enough_answers_it_says_nothing():
    record = LatencyRecord()
    for _ in range(ENOUGH - 1):
        record.observe(0.1)
    assert record.quantile(0.95) is None
    record.observe(0.1)
    assert record.quantile(0.95) == 0.1


def test_it_follows_a_change_and_forgets_what_was():
    record = LatencyRecord()
    for seconds in [*[9.0] * SIZE, *[0.1] * SIZE]:
        record.observe(seconds)
    assert record.quantile(1.0) == 0.1
