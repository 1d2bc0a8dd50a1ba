"""The last half hour in steps: counted when it happened, forgotten in time, quantiles within the promised error, bounded memory."""

from __future__ import annotations

import asyncio
import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_loop import run

from sidecar.core.fact import ChatServed, DormancyHeard
from sidecar.edge.admin.trend import ERROR, MOST_BINS, STEP, STEPS, Trend


def served(at, outcome="primary", seconds=0.5):
    return ChatServed(at, 1, "c", outcome, 200, seconds, 0.001)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def trend(clock):
    return Trend(clock)


def test_without_chats_there_are_zeros_and_no_latency(trend):
    told = trend.view()
    assert told["calls"] == told["degraded"] == [0] * STEPS
    assert told["p50_seconds"] == told["p95_seconds"] == [None] * STEPS
    assert told["whole"] == {"calls": 0, "degraded": 0, "p50_seconds": None, "p95_seconds": None}
    orjson.dumps(told)


def test_a_day_of_chats_is_seen_step_by_step_as_it_goes_by():
    async def day():
        loop = asyncio.get_running_loop()
        trend = Trend(loop.time)
        for minute in range(24 * 60):
            trend(served(loop.time(), "primary" if minute % 3 else "fallback"))
            await asyncio.sleep(60)
        return trend.view(), len(trend._steps)

    told, kept = run(day())
    assert (
        sum(told["calls"]) == told["whole"]["calls"] == 29
    )  # the one of thirty minutes ago is over, the next is due now
    assert [step for step, count in enumerate(told["calls"]) if count] == [5 + 6 * number for number in range(29)]
    assert sum(told["degraded"]) == 9  # every third minute
    assert told["newest_for_seconds"] == 0
    assert kept <= STEPS


def test_the_last_column_is_the_step_that_is_not_over(trend, clock):
    clock.now = 1_003.5
    trend(served(1_003.0))
    trend(served(999.9, "local"))
    told = trend.view()
    assert (told["calls"][-1], told["newest_for_seconds"], told["step_seconds"]) == (2, 3.5, STEP)


def test_what_is_older_than_the_window_is_forgotten_although_nothing_new_comes(trend, clock):
    trend(served(5.0))
    clock.now = STEP * STEPS - 0.001
    assert trend.view()["calls"][0] == 1
    clock.now = STEP * STEPS
    assert trend.view()["whole"]["calls"] == 0
    assert len(trend._steps) == 0


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [("primary", (1, 0)), ("fallback", (1, 1)), ("local", (1, 1)), ("failed", (1, 1)), ("client_gone", (0, 0))],
)
def test_whoever_was_not_answered_by_the_primary_is_degraded_and_who_left_counts_for_nothing(trend, outcome, counted):
    trend(served(1.0, outcome))
    whole = trend.view()["whole"]
    assert (whole["calls"], whole["degraded"]) == counted


def test_other_facts_are_no_chats(trend):
    trend(DormancyHeard(1.0, None))
    assert trend.view()["whole"]["calls"] == 0


@given(st.lists(st.floats(0.0006, 100.0), min_size=1, max_size=60), st.sampled_from(["p50_seconds", "p95_seconds"]))
def test_a_quantile_is_within_the_promised_error_of_the_exact_one(durations, name):
    trend = Trend(lambda: 5.0)
    for seconds in durations:
        trend(served(1.0, seconds=seconds))
    share = {"p50_seconds": 0.5, "p95_seconds": 0.95}[name]
    exact = sorted(durations)[max(-int(-share * len(durations) // 1), 1) - 1]
    assert (
        trend.view()[name][-1] == trend.view()["whole"][name] == pytest.approx(exact, rel=ERROR + 0.006)
    )  # three digits are shown


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 0, 0.001), (-1.0, 0, 0.001), (1e9, 100, 130)])
def test_a_duration_beyond_the_bins_counts_as_the_last_of_them(trend, seconds, least, most):
    trend(served(1.0, seconds=seconds))
    assert least < trend.view()["whole"]["p50_seconds"] < most


def test_memory_is_bounded_whatever_the_traffic(trend, clock):
    for number in range(20_000):
        clock.now = number * 0.45
        trend(served(clock.now, seconds=0.0005 * 1.013 ** (number % 1000)))
    assert len(trend._steps) <= STEPS
    bins = [len(step.bins) for step in trend._steps]
    assert max(bins) <= MOST_BINS
    assert sum(sys.getsizeof(step.bins) for step in trend._steps) < 2_000_000
