"""The verdict: better, no better, not to be used, nothing proposed, not enough data."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sidecar.replay.column import Difference, Interval
from sidecar.replay.recommend.value import Missing
from sidecar.replay.recommend.verdict import hurts, verdict


def one(figure, difference, low, high):
    return Difference("today", "proposed", figure, difference, Interval(low, high))


def said(*todays, degraded=0.1, kept=True, missing=()):
    figures = {"degraded_share": degraded, "latency_seconds": {"p95": 1.23}}
    comparison = SimpleNamespace(columns=(None, SimpleNamespace(figures=figures)))
    return verdict(comparison, todays, missing, kept)


UNCLEAR = one("p95", -0.1, -0.3, 0.1)


def test_better_names_figures_with_their_intervals():
    assert said(one("degraded_share", -0.02, -0.03, -0.01), UNCLEAR) == (
        "Better: degraded share -2.00 points (-3.00 … -1.00). Nothing is worse beyond chance."
    )


def test_more_availability_and_less_of_all_else_are_better():
    text = said(
        one("availability", 0.01, 0.005, 0.02), one("p99", -1.5, -2.0, -1.0), one("attempts_per_call", 0.2, 0.1, 0.3)
    )
    assert text == (
        "Better: availability +1.00 points (+0.50 … +2.00), p99 -1.5e+03 ms (-2e+03 … -1e+03). "
        "The price: attempts per call +0.2 (+0.1 … +0.3)."
    )


def test_no_better_says_why():
    assert said(UNCLEAR) == (
        "No better in this traffic: every gain may be chance; under the policy of today 10.00% were degraded and 95 % answered "
        "within 1.23 s."
    )
    assert said(UNCLEAR, degraded=0.001).startswith("No better in this traffic: there was little to win, for under ")
    assert said(one("p50", 0.01, 0.005, 0.02)).endswith(" Worse: p50 +10 ms (+5 … +20).")


def test_what_costs_more_than_it_may_is_not_to_be_used():
    text = said(one("degraded_share", 0.02, 0.011, 0.03), one("p99", -1.0, -2.0, -0.5))
    assert text.startswith("Not to be used as it is: degraded share +2.00 points")
    assert " Better: p99" in text
    assert said(one("availability", -0.01, -0.02, -0.005)).startswith(
        "Not to be used as it is: availability -1.00 points"
    )


def test_without_an_interval_there_is_not_enough_data():
    assert said() == "Not enough data to say whether it is better: too few answered calls for an interval."


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ((), "Nothing is proposed: what the data speak for would make things worse."),
        ((Missing("switch", "reserve", "few", 3),), "Nothing is proposed: not enough data."),
        (
            (Missing("switch", "reserve", "few", 3), Missing("switch", "limiter.queue", "8 is right", 3, enough=True)),
            "Nothing is proposed: where there is data enough, the policy has these values already, or others would make it worse.",
        ),
    ],
)
def test_nothing_proposed_says_why(missing, text):
    assert said(UNCLEAR, kept=False, missing=missing) == text


@pytest.mark.parametrize(
    ("difference", "costs"),
    [
        (one("degraded_share", 0.02, 0.0101, 0.03), True),
        (one("degraded_share", 0.02, -0.0099, 0.03), False),
        (one("degraded_share", -0.02, -0.03, -0.011), False),
        (one("availability", -0.002, -0.003, -0.0011), True),
        (one("availability", -0.002, -0.003, 0.0009), False),
        (one("attempts_per_call", 0.7, 0.51, 0.9), True),
        (one("attempts_per_call", 0.2, 0.1, 0.3), False),
        (one("p99", 9.0, 8.0, 10.0), True),
        (one("p99", 9.0, -1.0, 10.0), False),
    ],
)
def test_what_a_proposal_may_cost(difference, costs):
    assert hurts([UNCLEAR, difference]) is costs


def test_a_price_is_one_only_where_something_is_better():
    price, gain = one("p99", 0.1, 0.05, 0.2), one("degraded_share", -0.1, -0.2, -0.05)
    assert hurts([price, UNCLEAR])
    assert not hurts([price, gain])
    assert hurts([one("degraded_share", 0.1, 0.05, 0.2), one("p99", -9.0, -10.0, -8.0)])
    assert not hurts([])
