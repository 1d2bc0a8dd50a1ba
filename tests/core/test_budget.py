"""The retry budget: no sequence of calls and retries gets more out of it than was paid in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.budget import HedgeBudget, RetryBudget
from sidecar.policy.model import HedgePolicy, RetryBudgetPolicy

PERCENT = st.sampled_from([0, 10, 20, 33, 70, 100])
BURSTS = st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0])


def policy(percent: int = 20, burst: float = 3.0) -> RetryBudgetPolicy:
    return RetryBudgetPolicy(ratio=f"{percent}%", burst=burst)


def budget(percent: int = 20, burst: float = 3.0) -> RetryBudget:
    return RetryBudget(policy(percent, burst))


@given(PERCENT, BURSTS, st.lists(st.sampled_from(["call", "retry", "retry", "refund"]), max_size=200))
def test_attempts_are_at_most_calls_times_one_plus_ratio_plus_burst(percent, burst, story):
    b, calls, retries, unsent = budget(percent, burst), 0, 0, 0
    for what in story:
        if what == "call":
            b.deposit(0.0)
            calls += 1
        elif what == "retry":
            paid = b.withdraw(0.0)
            retries += paid
            unsent += paid
        elif unsent:  # only what was paid is ever given back
            b.refund(0.0)
            unsent -= 1
            retries -= 1
        assert 0 <= b.balance(0.0) <= burst
        assert calls + retries <= calls * (1 + percent / 100) + burst + 1e-6


def test_it_begins_full():
    b = budget(burst=3.0)
    assert [b.withdraw(0.0) for _ in range(5)] == [True, True, True, False, False]


def test_a_hedge_costs_one_of_what_calls_have_saved_up_and_a_reload_changes_what_they_save():
    budget = HedgeBudget(HedgePolicy(max_extra_load="100%"))
    for _ in range(3):
        budget.deposit(0.0)
    budget.spend(0.0)
    assert budget.saved == 2.0
    budget.adopt(HedgePolicy(max_extra_load="25%"))
    budget.deposit(0.0)
    assert budget.saved == 2.25


def test_a_refused_withdrawal_takes_nothing():
    b = budget(burst=1.5)
    assert b.withdraw(0.0)
    assert not b.withdraw(0.0)
    assert b.balance(0.0) == 0.5


@pytest.mark.parametrize(("percent", "calls"), [(10, 10), (20, 5), (5, 20), (100, 1)])
def test_one_over_ratio_calls_pay_for_exactly_one_retry(percent, calls):
    b = budget(percent, 1.0)
    b.withdraw(0.0)
    for _ in range(100):
        for _ in range(calls):
            assert not b.withdraw(0.0)
            b.deposit(0.0)
        assert b.withdraw(0.0)


def test_thin_traffic_has_no_floor_to_retry_from():
    b = budget(20, 3.0)
    retries = 0
    for _ in range(600):
        b.deposit(0.0)
        retries += b.withdraw(0.0) + b.withdraw(0.0)
    assert retries == 122  # the burst and 599 · 0.2 (the first deposit found it full), not ten a second


def test_a_balance_does_not_age():
    b = budget()
    b.withdraw(0.0)
    assert b.balance(1e9) == 2.0


def test_a_burst_below_one_never_pays_for_a_retry():
    b = budget(100, 0.5)
    for _ in range(10):
        b.deposit(0.0)
        assert not b.withdraw(0.0)


def test_a_refund_gives_back_what_one_retry_was_paid():
    b = budget(burst=3.0)
    for _ in range(3):
        b.withdraw(0.0)
    b.refund(0.0)
    assert b.balance(0.0) == 1.0


def test_a_refund_never_lifts_the_balance_above_the_burst():
    b = budget(burst=2.0)
    b.refund(0.0)
    assert b.balance(0.0) == 2.0


def test_a_reload_is_no_way_to_buy_retries():
    b = budget(burst=3.0)
    b.withdraw(0.0)
    b.adopt(policy(50, 10.0))
    assert b.balance(0.0) == 2.0
    b.deposit(0.0)
    assert b.balance(0.0) == 2.5
    b.adopt(policy(50, 1.0))
    assert b.balance(0.0) == 1.0
