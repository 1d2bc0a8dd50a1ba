"""What journals show of a target: known figures are found, all runs count, and what says nothing does not."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest

from sidecar.core.scene import Call
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.replay.recommend.evidence import seen_in
from sidecar.replay.simulate import Arrival
from sidecar.replay.world import Behaviour, Synthetic
from tests.replay.known import Serial, arrivals, loaded, past, steady


def truth(share, median=1.0, sigma=0.5):
    return median * math.exp(sigma * NormalDist().inv_cdf(share))


# -- of a target -------------------------------------------------------------------------------------------------------


def of(name, *pasts, **sections):
    return next(one for one in seen_in(pasts, loaded(**sections).policy) if one.target == name)


def test_known_latencies_failures_and_rates_are_found():
    world = steady(switch=Behaviour(0.4, 0.4, failing=0.02), madre=Behaviour(0.2, 0.3))
    seen = of("switch", past(world, loaded(retry={"max_attempts": 1}), arrivals(2500, 2.0)))
    assert seen.times.quantile(0.95).seconds == pytest.approx(truth(0.95, 0.4, 0.4), rel=0.1)
    share, most = seen.failing
    assert share == pytest.approx(0.02, abs=0.007)
    assert share < most < share + 0.01
    assert seen.calls_per_second == pytest.approx(2.0, rel=0.05)
    assert seen.outages == ()


def test_the_most_that_may_fail_is_above_the_truth_about_as_often_as_it_says():
    luck = random.Random(3)
    template = of("switch", past(steady(), loaded(), arrivals(30, 2.0)))
    above = 0
    for _ in range(1000):
        failed = sum(luck.random() < 0.02 for _ in range(800))
        above += template._replace(asked=800, failed=failed).failing[1] >= 0.02
    assert 0.955 <= above / 1000 <= 0.995  # the upper end of a two-sided 95 %


STEADY, HUNG = Behaviour(0.1, 0.3), Behaviour(0.1, 0.3, hanging=1.0)


def outages(count, every=100.0, lasts=30.0, well=STEADY, bad=HUNG):
    listed = [(0.0, well)]
    for number in range(1, count + 1):
        listed += [(100.0 + number * every, bad), (100.0 + number * every + lasts, well)]
    return listed


def test_known_outages_are_found_to_within_a_probe():
    world = Synthetic({"switch": outages(6), "madre": [(0.0, Behaviour(0.06, 0.2))]}, 3)
    rules = loaded(breaker={"open": {"base": "3s", "max": "3s"}})
    seen = of("switch", past(world, rules, arrivals(2100, 3.0)))
    assert len(seen.outages) == 6
    assert all(22.0 <= length <= 38.0 for length in seen.outages)
    assert seen.failed <= 0.02 * seen.asked  # what failed in them says nothing of a target that is well


def test_an_outage_that_does_not_end_has_no_length():
    listed = [*outages(1), (260.0, Behaviour(0.1, 0.3, hanging=1.0))]
    seen = of(
        "switch", past(Synthetic({"switch": listed, "madre": [(0.0, Behaviour())]}, 3), loaded(), arrivals(600, 3.0))
    )
    assert len(seen.outages) == 1
    begins_ill = [(0.0, Behaviour(0.1, 0.3, hanging=1.0)), (150.0, Behaviour(0.1, 0.3))]
    world = Synthetic({"switch": begins_ill, "madre": [(0.0, Behaviour())]}, 3)
    assert of("switch", past(world, loaded(), arrivals(600, 3.0))).outages == ()


def test_all_runs_count():
    first = past(steady(1, switch=Behaviour(0.4, 0.4)), loaded(), arrivals(900, 2.0, 1), seed=1)
    second = past(steady(2, switch=Behaviour(0.4, 0.4)), loaded(), arrivals(600, 2.0, 2), seed=2)
    one, two, both = of("switch", first), of("switch", second), of("switch", first, second)
    assert both.asked == one.asked + two.asked
    assert both.times.n == one.times.n + two.times.n
    assert len(both.together) == len(one.together) + len(two.together)
    assert both.calls_per_second == pytest.approx(2.0, rel=0.1)


def test_a_target_that_was_never_asked_is_seen_as_such():
    seen = of("madre", past(steady(), loaded(), arrivals(50, 2.0)))
    assert (seen.asked, seen.failed, seen.outages, seen.together) == (0, 0, (), ())
    assert seen.times.quantile(0.5) is None
    assert seen.failing == (0.0, pytest.approx(0.793, abs=0.01))


def test_a_journal_without_chats_shows_nothing():
    seen = of("switch", past(steady(), loaded(), []))
    assert (seen.asked, seen.calls_per_second) == (0, 0.0)


# -- what says nothing -------------------------------------------------------------------------------------------------


def test_what_the_power_state_explains_is_no_failure_and_no_outage():
    """The switch is off on purpose for half of the time, and refuses whoever asks."""
    off = Behaviour(0.002, 0.1, failing=1.0, failures=(Outcome(error=ErrorKind.CONNECT),))
    listed = [
        (0.0, Behaviour(0.1, 0.3)),
        (150.0, off),
        (250.0, Behaviour(0.1, 0.3)),
        (350.0, off),
        (450.0, Behaviour(0.1, 0.3)),
    ]
    powers = [
        (at, lambda now, engine, on=on: engine.hear_dormancy(now, frozenset({"madre", "switch"} if on else {"madre"})))
        for at, on in ((149.0, False), (251.0, True), (349.0, False), (451.0, True))
    ]
    powers.append((120.0, lambda now, engine: engine.override(now, "madre", None)))  # says nothing of power
    world = Synthetic({"switch": listed, "madre": [(0.0, Behaviour())]}, 3)
    known = past(world, loaded(), arrivals(1200, 3.0), outside=powers)
    seen = of("switch", known)
    assert seen.failed <= 0.03 * seen.asked  # a moment before it was known
    assert seen.outages == ()
    ignoring = of("switch", known, dormant={"mode": "ignore"})
    assert len(ignoring.outages) == 2


def test_clients_that_leave_or_are_in_a_hurry_are_no_failures_of_the_target():
    world = steady(switch=Behaviour(0.6, 0.4))
    coming = arrivals(1800, 2.0, leaving=0.2, hurried=0.2)
    seen = of("switch", past(world, loaded(), coming))
    assert seen.failing[0] < 0.002
    assert seen.times.quantile(0.95).seconds == pytest.approx(truth(0.95, 0.6, 0.4), rel=0.1)


def test_failures_that_come_at_once_do_not_make_a_target_look_fast():
    class Refusing:
        """Every third chat is refused in no time."""

        def __init__(self):
            self._world = steady(switch=Behaviour(0.6, 0.4))

        def answer(self, now, call, step):
            if step.target == "switch" and call % 3 == 0:
                return 0.001, Outcome(error=ErrorKind.CONNECT)
            return self._world.answer(now, call, step)

    seen = of("switch", past(Refusing(), loaded(retry={"max_attempts": 1}), arrivals(1500, 1.0)))
    assert seen.failing[0] > 0.2
    assert seen.times.quantile(0.8).seconds == pytest.approx(truth(0.8, 0.6, 0.4), rel=0.05)


def test_our_own_mistakes_are_no_failures_of_the_target():
    ours = (Outcome(status=413), Outcome(status=401))
    seen = of(
        "switch", past(steady(switch=Behaviour(0.1, 0.3, failing=0.1, failures=ours)), loaded(), arrivals(600, 2.0))
    )
    assert seen.failed == 0
    assert seen.asked == pytest.approx(540, abs=30)


# -- how many at once --------------------------------------------------------------------------------------------------


def test_a_queue_within_a_target_is_found_with_how_long_one_takes():
    world = Serial(steady(switch=Behaviour(0.3, 0.3)), "switch")
    seen = of("switch", past(world, loaded(), arrivals(1500, 2.0)))
    assert seen.served.servers == 1
    assert seen.service.quantile(0.5).seconds == pytest.approx(0.3, rel=0.1)
    assert seen.times.quantile(0.5).seconds > 0.35  # with the wait for others


def test_a_target_that_others_make_slower_is_found():
    class Crowded:
        """A tenth more for each attempt under way."""

        def __init__(self):
            self._world, self._ends = steady(switch=Behaviour(0.5, 0.2)), []

        def answer(self, now, call, step):
            seconds, outcome = self._world.answer(now, call, step)
            self._ends = [end for end in self._ends if end > now]
            seconds *= 1.1 ** len(self._ends)
            self._ends.append(now + seconds)
            return seconds, outcome

    seen = of("switch", past(Crowded(), loaded(limiter={"max_concurrent": 20}), arrivals(1000, 5.0)))
    assert seen.crowding.factor(1) == pytest.approx(1.1, abs=0.03)


def test_together_is_how_many_were_under_way_when_one_began():
    seen = of("switch", past(steady(switch=Behaviour(1.0, 0.0)), loaded(), arrivals(4, 0.01)))
    assert seen.together == (1, 1, 1, 1)
    crowd = [Arrival(at, Call(n, 4.75, "c")) for n, at in enumerate((100.0, 100.5, 100.9, 101.2, 105.0), 1)]
    assert of("switch", past(steady(switch=Behaviour(1.0, 0.0)), loaded(), crowd)).together == (1, 1, 2, 3, 3)
