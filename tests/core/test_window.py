"""Both windows against lists that remember everything and count by looking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.window import BUCKETS, CountWindow, Tally, TimeWindow, window_for
from sidecar.policy.model import Window

CALLS = st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=60)


def tallied(calls) -> Tally:
    calls = list(calls)
    return Tally(len(calls), sum(failed for _, failed, _ in calls), sum(slow for _, _, slow in calls))


@given(size=st.integers(1, 12), calls=CALLS)
def test_a_count_window_remembers_exactly_the_last_ones_however_long_ago(size, calls):
    window, now = CountWindow(size), 0
    for n, (gap, failed, slow) in enumerate(calls):
        now += gap
        window.add(now, failed=failed, slow=slow)
        assert window.tally(now + 10_000) == tallied(calls[: n + 1][-size:])


@given(width=st.sampled_from([0.25, 1.0, 8.0]), calls=CALLS, start=st.sampled_from([-100.0, 0.0, 1e6]))
def test_a_time_window_remembers_the_last_ten_tenths_of_its_length(width, calls, start):
    window, now, all_of_them = TimeWindow(width * BUCKETS), start, []
    for gap, failed, slow in calls:
        now += gap / 4
        window.add(now, failed=failed, slow=slow)
        all_of_them.append((now, failed, slow))
        assert window.tally(now) == tallied(c for c in all_of_them if now // width - c[0] // width < BUCKETS)
        assert len(window._buckets) <= BUCKETS


def test_a_time_window_forgets_between_nine_tenths_and_all_of_its_length():
    window = TimeWindow(10.0)
    window.add(0.99, failed=True, slow=False)
    assert window.tally(9.99) == (1, 1, 0)
    assert window.tally(10.0) == (0, 0, 0)


def test_a_clock_that_goes_back_loses_no_call():
    window = TimeWindow(10.0)
    window.add(5.0, failed=True, slow=False)
    window.add(3.0, failed=True, slow=True)
    assert window.tally(5.0) == (2, 2, 1)


@pytest.mark.parametrize("stated", [{"type": "count", "size": 10}, {"type": "time", "duration": "10s"}])
def test_a_window_is_as_large_as_its_policy_says(stated):
    window = window_for(Window.model_validate(stated))
    for second in range(20):
        window.add(float(second), failed=False, slow=False)
    assert window.tally(19.5).calls == 10


@pytest.mark.parametrize("window", [CountWindow(5), TimeWindow(5.0)])
def test_a_cleared_window_is_empty_and_counts_on(window):
    for _ in range(7):
        window.add(1.0, failed=True, slow=True)
    window.clear()
    assert window.tally(1.0) == (0, 0, 0)
    window.add(1.0, failed=False, slow=True)
    assert window.tally(1.0) == (1, 0, 1)


def test_the_policy_says_which_window():
    assert isinstance(window_for(Window(type="count", size=3)), CountWindow)
    assert isinstance(window_for(Window(type="time", duration="3s")), TimeWindow)
