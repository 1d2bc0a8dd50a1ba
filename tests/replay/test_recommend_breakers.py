"""Breakers: thresholds that a well target does not reach by chance, held against calculation and against dice."""

from __future__ import annotations

import random

import pytest

from sidecar.policy.units import seconds
from sidecar.replay.recommend.breakers import QUIET, at_least, breaker
from sidecar.replay.recommend.value import Missing, Proposal
from tests.replay.known import loaded
from tests.replay.seen import seen

PROBE = 3.0


def found(probe=PROBE, rules=None, **fields):
    target = loaded(**({} if rules is None else {"breaker": rules})).policy.ladder[0]
    return {one.path: one for one in breaker(seen(**fields), target, probe)}


def value(one):
    """The one that is proposed, or is there already."""
    return int(one.value if isinstance(one, Proposal) else one.why.split()[0])


@pytest.mark.parametrize("failed", [0, 20, 100, 300])
@pytest.mark.parametrize("rate", [0.01, 1.0, 20.0])
def test_so_many_in_a_row_come_by_chance_once_in_ten_days_and_one_fewer_more_often(failed, rate):
    known = seen(asked=3000, failed=failed, calls_per_second=rate)
    row, (_, share) = (
        value(found(asked=3000, failed=failed, calls_per_second=rate)["breaker.consecutive"]),
        known.failing,
    )
    calls = rate * 86_400 * QUIET
    assert share**row * calls <= 1
    assert row == 2 or share ** (row - 1) * calls > 1


def test_the_chance_of_so_many_in_a_row_is_that_of_dice():
    """A run of k failures within n calls: n·p^k is what is promised at most; what is thrown is a little less."""
    luck = random.Random(8)
    share, row, calls, runs = 0.2, 4, 1000, 0
    for _ in range(300):
        in_row = 0
        for _ in range(calls):
            in_row = in_row + 1 if luck.random() < share else 0
            runs += in_row == row
            in_row = 0 if in_row == row else in_row
    promised = share**row * calls * 300
    assert 0.7 * promised <= runs <= promised


@pytest.mark.parametrize("failed", [0, 30, 150])
def test_so_many_calls_show_the_rate_by_chance_once_in_ten_days(failed):
    known = seen(asked=3000, failed=failed)
    calls, (_, share) = value(found(asked=3000, failed=failed)["breaker.min_calls"]), known.failing
    chances = 86_400 * QUIET
    assert binomial(calls, (calls + 1) // 2, share) * chances <= 1
    assert all(binomial(n, (n + 1) // 2, share) * chances > 1 for n in range(3, calls))


def binomial(calls, failed, share):
    """By recursion over the calls, where the module sums binomial terms."""
    chances = [1.0]
    for _ in range(calls):
        chances = [
            (chances[k] if k < len(chances) else 0.0) * (1 - share) + (chances[k - 1] if k else 0.0) * share
            for k in range(len(chances) + 1)
        ]
    return sum(chances[failed:])


def test_the_chance_of_at_least_so_many_is_that_of_dice():
    luck = random.Random(9)
    thrown = sum(sum(luck.random() < 0.3 for _ in range(10)) >= 5 for _ in range(20_000)) / 20_000
    assert at_least(10, 5, 0.3) == pytest.approx(thrown, abs=0.01)
    assert at_least(10, 5, 0.3) == pytest.approx(binomial(10, 5, 0.3))
    assert at_least(10, 0, 0.3) == pytest.approx(1.0)


def test_a_window_that_is_too_small_grows_with_the_calls_that_must_fit_into_it():
    listed = found(asked=3000, failed=450)
    calls, size = listed["breaker.min_calls"], listed["breaker.window.size"]
    assert int(calls.value) > 20
    assert (size.present, size.value) == ("20", calls.value)
    assert calls.group == size.group != ""
    over_time = found(asked=3000, failed=450, rules={"window": {"type": "time"}})
    assert "breaker.window.size" not in over_time
    assert over_time["breaker.min_calls"].group == ""


def test_a_target_that_is_never_quite_well_is_told_as_such():
    listed = found(asked=3000, failed=1450, calls_per_second=20.0)
    assert listed["breaker.consecutive"].value == "20"
    assert listed["breaker.consecutive"].evidence.endswith("times a day: it is never quite well")
    assert isinstance(listed["breaker.min_calls"], Missing)
    assert "a larger breaker.failure_rate is needed" in listed["breaker.min_calls"].why


def test_evidence_says_what_was_counted_and_how_sure_it_is():
    listed = found(asked=3000, failed=60)
    assert listed["breaker.consecutive"].evidence.startswith(
        "60 of 3000 attempts failed while it was well (at most 2.57% by this sample); 4 in a row come by chance once in 10 days"
    )
    assert listed["breaker.consecutive"].confidence == "high"
    assert found(asked=900, failed=60)["breaker.consecutive"].confidence == "fair"


def test_attempts_that_a_proposed_timeout_would_cut_off_count_as_failures():
    """Or a breaker would open at what the same advice makes happen."""
    policy = loaded().policy
    listed = {one.path: one for one in breaker(seen(asked=3000), policy.ladder[0], PROBE, 0.005)}
    (_, share), calls = seen(asked=3000).failing, 86_400 * QUIET
    row = value(listed["breaker.consecutive"])
    assert (share + 0.005) ** row * calls <= 1 < (share + 0.005) ** (row - 1) * calls
    assert row == 3
    assert ", and 0.50% more would be given up; " in listed["breaker.min_calls"].evidence


@pytest.mark.parametrize(("opens", "as_good"), [("5s", True), ("5500ms", True), ("7s", False), ("4s", False)])
def test_an_open_time_that_costs_hardly_more_than_the_best_is_as_good(opens, as_good):
    one = found(outages=(27.0,) * 4, calls_per_second=2.0, rules={"open": {"base": opens}})["breaker.open.base"]
    assert isinstance(one, Missing) is as_good
    assert not as_good or one.why.startswith(f"{opens.replace('5500ms', '5.5s')} is as good: 4 outages of 27 s")


def test_fewer_than_200_attempts_say_nothing():
    listed = found(asked=199)
    assert listed["breaker.consecutive"].why == listed["breaker.min_calls"].why
    assert listed["breaker.consecutive"].why == "not enough data: 199 attempts while it was well, 200 are needed"


@pytest.mark.parametrize(
    ("length", "rate", "opens", "said"),
    [
        (40.0, 2.0, 6.32, "costs the fewest users"),
        (10.0, 5.0, 2.0, "; a probe may take longer, up to 3 s, of which check warns"),
        (
            0.1,
            5.0,
            0.5,
            "; a probe may take longer, up to 3 s, of which check warns",
        ),  # a fifth of a second would be best
        (3600.0, 0.5, 15.0, "; breaker.open.max allows 15s"),
    ],
)
def test_an_open_time_weighs_probes_against_the_wait_for_one(length, rate, opens, said):
    one = found(outages=(length,) * 4, calls_per_second=rate)["breaker.open.base"]
    assert seconds(one.value) == opens
    assert one.evidence.endswith(said)
    assert one.confidence == "low"


def test_the_open_time_is_where_fewest_users_lose():
    """Probes that an outage costs, and who is sent elsewhere until one finds out that it is over, counted for every open time."""
    luck, length, rate = random.Random(4), 60.0, 2.0

    def lost(opens):
        total = 0.0
        for _ in range(400):
            at = luck.random() * opens  # when the first probe falls
            while at < length:
                total += 1
                at += opens
            total += rate * (at - length)
        return total / 400

    proposed = seconds(found(outages=(length,) * 4, calls_per_second=rate)["breaker.open.base"].value)
    costs = {opens: lost(opens) for opens in (2.0, 4.0, proposed, 15.0, 30.0)}
    assert min(costs, key=costs.__getitem__) == proposed


def test_outages_are_counted_and_three_are_needed():
    few = found(outages=(30.0, 40.0))["breaker.open.base"]
    assert few.why == "not enough data: 2 outages from beginning to end, 3 are needed"
    assert found(outages=(30.0,) * 12)["breaker.open.base"].confidence == "fair"
