"""Backoff: full jitter below a doubling cap, and never earlier than the target asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.backoff import backoff
from sidecar.policy.model import Backoff

POLICY = Backoff()  # 25 ms doubling to 250 ms
SHARE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(("retry", "cap"), [(1, 0.025), (2, 0.05), (3, 0.1), (4, 0.2), (5, 0.25), (9, 0.25)])
def test_the_cap_doubles_up_to_its_maximum(retry, cap):
    assert backoff(POLICY, retry, 0.5, None) == pytest.approx(cap / 2)


@given(st.integers(1, 10), SHARE)
def test_the_delay_is_drawn_from_nothing_to_the_cap(retry, u):
    assert 0 <= backoff(POLICY, retry, u, None) <= min(0.25, 0.025 * 2 ** (retry - 1))


@given(st.integers(1, 10), SHARE, st.floats(0, 100))
def test_nobody_comes_back_earlier_than_asked_nor_all_at_once(retry, u, asked):
    assert backoff(POLICY, retry, u, asked) == asked + backoff(POLICY, retry, u, None)


def test_a_policy_may_not_care_what_the_target_asked_for():
    assert backoff(Backoff(respect_retry_after=False), 1, 0.5, 60.0) == 0.0125
