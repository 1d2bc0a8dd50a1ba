"""The sliding window of the guards against a list of everything that was admitted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.rate import SlidingWindows
from sidecar.policy.units import Rate

KNOCKS = st.lists(st.tuples(st.integers(0, 24), st.sampled_from([b"a", b"b"])), max_size=120)


@given(KNOCKS, st.integers(1, 5), st.sampled_from([1.0, 2.5, 10.0]))
def test_within_any_window_exactly_so_many_of_a_key_pass_and_no_fewer(knocks, calls, per):
    windows, rate, now = SlidingWindows(100), Rate(calls, per), 0.0
    admitted: dict[bytes, list[float]] = {b"a": [], b"b": []}
    for gap, key in knocks:
        now += gap / 8  # sums of eighths are exact
        recent = [t for t in admitted[key] if t > now - per]
        retry_after = windows.admit(now, key, rate)
        if len(recent) < calls:
            assert retry_after is None
            admitted[key].append(now)
        else:
            assert retry_after == recent[-calls] + per - now
            assert 0 < retry_after <= per


@given(KNOCKS, st.integers(1, 5))
def test_who_waits_as_long_as_told_passes(knocks, calls):
    windows, rate, now = SlidingWindows(100), Rate(calls, 2.5), 0.0
    for gap, key in knocks:
        now += gap / 8
        retry_after = windows.admit(now, key, rate)
        if retry_after is not None:
            now += retry_after
            assert windows.admit(now, key, rate) is None


def test_a_client_that_keeps_knocking_is_let_in_as_soon_as_there_is_room():
    windows, rate = SlidingWindows(10), Rate(1, 10.0)
    assert windows.admit(0.0, b"a", rate) is None
    assert [windows.admit(float(now), b"a", rate) for now in range(1, 10)] == [10.0 - now for now in range(1, 10)]
    assert windows.admit(10.0, b"a", rate) is None


def test_twenty_five_at_once_are_ten_admitted_and_fifteen_refused():
    windows = SlidingWindows(10)
    answers = [windows.admit(3.0, b"a", Rate(10, 60.0)) for _ in range(25)]
    assert answers == [None] * 10 + [60.0] * 15


def test_keys_do_not_disturb_each_other():
    windows, rate = SlidingWindows(1000), Rate(1, 60.0)
    assert [windows.admit(0.0, bytes([n]), rate) for n in range(100)] == [None] * 100


def test_a_rate_that_became_smaller_waits_until_enough_have_left():
    windows = SlidingWindows(10)
    for now in range(5):
        windows.admit(float(now), b"a", Rate(5, 10.0))
    assert windows.admit(5.0, b"a", Rate(2, 10.0)) == 8.0  # four of five have to leave: the fourth, from 3.0, at 13.0
    assert windows.admit(13.0, b"a", Rate(2, 10.0)) is None


def test_memory_is_bounded_and_the_key_quiet_longest_is_forgotten():
    windows, rate = SlidingWindows(3), Rate(1, 60.0)
    for n, key in enumerate([b"a", b"b", b"c"]):
        windows.admit(float(n), key, rate)
    assert windows.admit(3.0, b"a", rate) is not None  # a refused knock is a sign of life too
    assert windows.admit(4.0, b"d", rate) is None  # forgets b
    assert len(windows) == 3
    assert windows.admit(5.0, b"a", rate) is not None
    assert windows.admit(5.0, b"b", rate) is None


def test_a_bound_that_became_smaller_is_met_with_the_next_chat():
    windows, rate = SlidingWindows(100), Rate(1, 60.0)
    for n in range(50):
        windows.admit(0.0, bytes([n]), rate)
    windows.max_keys = 5
    windows.admit(1.0, b"new", rate)
    assert len(windows) == 5


@given(st.lists(st.binary(min_size=1, max_size=2), max_size=200), st.integers(1, 9))
def test_never_more_keys_than_the_bound(keys, bound):
    windows = SlidingWindows(bound)
    for key in keys:
        windows.admit(0.0, key, Rate(1, 1.0))
        assert len(windows) <= bound


@given(KNOCKS, st.integers(1, 5))
def test_what_others_let_pass_counts_like_what_was_let_pass_here(knocks, calls):
    noted, admitted, now = SlidingWindows(100), SlidingWindows(100), 0.0
    rate = Rate(calls, 2.5)
    for gap, key in knocks:
        now += gap / 8
        if admitted.admit(now, key, rate) is None:
            noted.note(now, key, rate)
    for key in (b"a", b"b"):
        assert noted.admit(now, key, rate) == admitted.admit(now, key, rate)


def test_of_more_than_may_pass_the_last_are_remembered():
    windows, rate = SlidingWindows(10), Rate(2, 10.0)
    for now in (0.0, 1.0, 2.0, 3.0):
        windows.note(now, b"a", rate)
    assert windows.admit(4.0, b"a", rate) == 8.0
    assert windows.admit(12.0, b"a", rate) is None
