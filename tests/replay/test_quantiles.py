"""Quantiles of times: intervals hold as often as they say, what was cut off counts as that, and beyond what was seen nothing is said."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest

from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.replay.recommend import quantiles
from sidecar.replay.recommend.quantiles import BEYOND, Times
from sidecar.replay.record import Attempted
from sidecar.replay.world import GOOD

CUT = Outcome(error=ErrorKind.TIMEOUT)


def drawn(luck, n, *, median=1.0, sigma=0.5, patience=lambda: math.inf):
    """So many lognormal times, each waited for as long as ``patience`` says."""
    found = []
    for number in range(n):
        seconds, waits = median * math.exp(sigma * luck.gauss(0, 1)), patience()
        found.append(Attempted(number, float(number), min(seconds, waits), GOOD if seconds <= waits else CUT))
    return found


def truth(share, median=1.0, sigma=0.5):
    return median * math.exp(sigma * NormalDist().inv_cdf(share))


@pytest.mark.parametrize("censored", [False, True], ids=["all were waited for", "a third was cut off"])
@pytest.mark.parametrize("share", [0.8, 0.95])
def test_an_interval_covers_the_truth_about_as_often_as_it_says(share, censored):
    luck = random.Random(12)
    covered = 0
    for _ in range(120):
        patience = (lambda: luck.expovariate(0.35)) if censored else (lambda: math.inf)
        found = Times(drawn(luck, 700, patience=patience)).quantile(share)
        covered += found.low <= truth(share) <= found.high
    assert 0.9 <= covered / 120 <= 0.995


def test_attempts_that_were_cut_off_do_not_make_a_target_look_fast():
    luck = random.Random(5)
    cut = drawn(luck, 5000, patience=lambda: luck.uniform(0.3, 6.0))
    assert Times(cut).quantile(0.95).seconds == pytest.approx(truth(0.95), rel=0.1)
    waited = [one for one in cut if not one.cut]
    assert Times(waited).quantile(0.95).seconds < truth(0.95) * 0.92  # as it would if they were left out


def test_beyond_what_anybody_waited_for_there_is_no_quantile():
    luck = random.Random(6)
    times = Times(drawn(luck, 3000, patience=lambda: 2.0))  # 8 % take longer
    assert times.quantile(0.95) is None
    assert times.quantile(0.9).seconds == pytest.approx(truth(0.9), rel=0.1)
    assert times.highest((0.995, 0.95, 0.9)).share == 0.9
    assert times.highest((0.995, 0.95)) is None


@pytest.mark.parametrize(("n", "there"), [(20 * BEYOND - 21, False), (20 * BEYOND + 20, True)])
def test_a_quantile_needs_enough_attempts_beyond_it(n, there):
    assert (Times(drawn(random.Random(1), n)).quantile(0.95) is not None) is there


def test_of_nothing_and_of_silence_there_is_no_quantile():
    assert Times([]).quantile(0.5) is None
    assert Times([Attempted(n, float(n), 1.0, CUT) for n in range(500)]).quantile(0.5) is None


def test_of_very_many_attempts_evenly_many_are_read(monkeypatch):
    monkeypatch.setattr(quantiles, "MOST", 1000)
    attempts = drawn(random.Random(2), 10_000)
    times = Times(attempts)
    assert times.n == 1000
    found = times.quantile(0.95)
    assert found.n == 1000  # and the interval is that of so many
    assert found.high - found.low > 0.1
    assert found.seconds == pytest.approx(truth(0.95), rel=0.1)


def test_what_took_no_time_counts_as_well():
    times = Times([Attempted(n, float(n), 0.0 if n % 4 else 1.0, GOOD) for n in range(400)])
    assert (times.quantile(0.5).seconds, times.quantile(0.9).seconds) == (0.0, 1.0)
