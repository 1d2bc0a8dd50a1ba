"""Intervals: they hold as often as they say, they are paired, and few calls have none."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sidecar.replay.figures.intervals import BLOCKS, FEWEST, Resampled, blocks_of
from sidecar.replay.figures.summary import Share, grain, quantile, seconds_of


def share(luck, calls, degraded=0.2, median=0.1):
    outcomes, seconds = Counter(), Counter()
    for _ in range(calls):
        outcomes["fallback" if luck.random() < degraded else "primary"] += 1
        outcomes["attempts"] += 1
        seconds[grain(median * luck.lognormvariate(0, 0.5))] += 1
    return Share(outcomes, seconds)


def shares(seed, count=60, calls=40, **kind):
    luck = random.Random(seed)
    return [share(luck, calls, **kind) for _ in range(count)]


def resampled(*all_shares):
    return Resampled([blocks_of(each) for each in all_shares])


def test_slices_become_blocks_and_no_call_is_lost():
    blocks = blocks_of(shares(1, count=67))
    assert len(blocks) == BLOCKS
    assert sum(sum(block.counted[:5]) for block in blocks) == 67 * 40
    assert sum(sum(block.steps.values()) for block in blocks) == 67 * 40
    assert len(blocks_of(shares(1, count=7))) == 7


def test_points_are_what_all_calls_together_have():
    luck = random.Random(3)
    times = [0.1 * luck.lognormvariate(0, 1) for _ in range(3000)]
    parts = []
    for first in range(0, 3000, 100):
        outcomes = Counter(primary=60, fallback=25, local=10, failed=3, client_gone=2, attempts=130)
        parts.append(Share(outcomes, Counter(map(grain, times[first : first + 100]))))
    point = resampled(parts).point
    assert point["degraded_share"] == pytest.approx(38 / 98)
    assert point["availability"] == pytest.approx(85 / 98)
    assert point["attempts_per_call"] == pytest.approx(1.3)
    for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert point[name] == pytest.approx(quantile(sorted(times), part), rel=0.011)


def test_a_step_is_one_percent_wide():
    for seconds in (0.0001, 0.0123, 0.99, 1.0, 1.01, 4.75):
        assert seconds_of(grain(seconds)) == pytest.approx(seconds, rel=0.0051)


@pytest.mark.uncounted
def test_where_the_figure_lies_when_such_traffic_comes_once_more():
    """Held against thirty times such traffic: about 19 of 20 lie within."""
    held = total = 0
    for seed in range(3):
        intervals = resampled(shares(seed)).intervals()
        for other in range(1000 + seed * 10, 1010 + seed * 10):
            again = resampled(shares(other)).point
            for name in ("degraded_share", "p50", "p95"):
                held += intervals[name].low <= again[name] <= intervals[name].high
                total += 1
    assert 0.85 < held / total <= 1.0


def test_a_figure_that_cannot_vary_has_an_interval_without_width():
    assert resampled(shares(1)).intervals()["attempts_per_call"] == (1.0, 1.0)


def test_what_never_happened_may_happen_next_time():
    """Of 2,400 calls none: up to 0.3 % of the next 2,400, and of four times as many a quarter of that."""
    never = resampled(shares(1, degraded=0.0)).intervals()
    assert never["degraded_share"] == pytest.approx((0.0, 0.00319), abs=1e-5)
    assert never["availability"] == pytest.approx((1 - 0.00319, 1.0), abs=1e-5)
    always = resampled(shares(1, degraded=1.0)).intervals()["degraded_share"]
    assert always == pytest.approx((1 - 0.00319, 1.0), abs=1e-5)
    more = resampled(shares(1, calls=160, degraded=0.0)).intervals()["degraded_share"]
    assert more.high == pytest.approx(0.00319 / 4, rel=0.01)


def test_few_calls_have_no_interval_but_figures():
    few = resampled(shares(1, count=3, calls=(FEWEST - 1) // 3))
    assert few.intervals() == {}
    assert few.minus(few) == {}
    assert few.point["degraded_share"] is not None
    nothing = resampled([])
    assert nothing.point["p50"] is None
    assert nothing.point["attempts_per_call"] is None
    assert nothing.intervals() == {}


def test_a_difference_is_told_from_none():
    base, worse = resampled(shares(1)), resampled(shares(1, degraded=0.3))
    difference, interval = worse.minus(base)["degraded_share"]
    assert 0.05 < difference < 0.15
    assert interval.low > 0
    difference, interval = base.minus(base)["degraded_share"]
    assert (difference, *interval) == (0.0, 0.0, 0.0)


def test_pairs_are_sharper_than_strangers():
    """An outage in a fifth of the time is in both columns, and says nothing about their difference."""
    luck = random.Random(9)
    bad = [luck.random() < 0.2 for _ in range(60)]
    one = [share(random.Random(n), 40, degraded=0.9 if bad[n] else 0.0) for n in range(60)]
    other = [share(random.Random(n), 40, degraded=0.95 if bad[n] else 0.0) for n in range(60)]
    first, second = resampled(one), resampled(other)
    _, interval = second.minus(first)["degraded_share"]
    alone = first.intervals()["degraded_share"]
    assert (interval.high - interval.low) * 5 < alone.high - alone.low


def test_the_doubt_of_what_was_made_up_is_in_the_interval():
    certain = resampled(shares(1), shares(1))
    doubtful = resampled(shares(1, degraded=0.1), shares(1, degraded=0.3))

    def width(one):
        interval = one.intervals()["degraded_share"]
        return interval.high - interval.low

    assert width(doubtful) > 2 * width(certain)
    assert doubtful.point["degraded_share"] == pytest.approx(0.2, abs=0.02)
