"""Crowding: a shared part of the work is found where it is and nowhere else, and taken out of the durations again."""

from __future__ import annotations

import math
import random

import pytest

from sidecar.core.value import replace
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.replay.record import Attempted
from sidecar.replay.simulate import TIMED_OUT
from sidecar.replay.world import GOOD
from sidecar.replay.worlds.crowding import ALONE, Crowding, alone, crowding_of, others_of
from sidecar.replay.worlds.periods import Period


def made(count, *, rise=0.0, rate=8.0, median=0.3, spread=0.3, seed=1, start=0.0):
    """Requests each of which takes the longer the more others are under way."""
    luck = random.Random(seed)
    at, ends, attempts = start, [], []
    for number in range(count):
        at += luck.expovariate(rate)
        ends = [end for end in ends if end > at]
        seconds = median * luck.lognormvariate(0, spread) * math.exp(rise * len(ends))
        ends.append(at + seconds)
        attempts.append(Attempted(number, at, seconds, GOOD))
    return attempts


def whole(attempts):
    return [Period(0, len(attempts), 0.0, 0.0)]


@pytest.mark.parametrize("rise", [0.05, 0.1, 0.2])
def test_a_rise_is_found(rise):
    attempts = made(3000, rise=rise)
    found = crowding_of(attempts, whole(attempts))
    assert found.rise == pytest.approx(rise, rel=0.25)
    assert found.nats > 8
    assert found.most == max(others_of(attempts))


@pytest.mark.parametrize("seed", range(8))
def test_where_nobody_is_in_the_way_none_is(seed):
    attempts = made(2000, seed=seed)
    assert crowding_of(attempts, whole(attempts)) == ALONE


def test_a_slow_hour_with_many_requests_is_not_taken_for_slowness_by_many():
    calm, busy = made(1000, median=0.1), made(1000, median=0.6, rate=8.0, start=500.0)
    attempts = [*calm, *busy]
    assert crowding_of(attempts, whole(attempts)).rise > 0
    assert crowding_of(attempts, [Period(0, 1000, 0.0, 0.0), Period(1000, 2000, 0.0, 0.0)]) == ALONE


def test_errors_say_nothing_of_it():
    luck = random.Random(3)
    refused = Outcome(error=ErrorKind.CONNECT)
    attempts = [
        replace(one, seconds=0.001, outcome=refused) if luck.random() < 0.3 else one for one in made(2000, seed=5)
    ]
    assert crowding_of(attempts, whole(attempts)) == ALONE


def test_few_replies_or_requests_that_never_met_show_nothing():
    for attempts in (made(99, rise=0.5), made(300, rate=0.001)):
        assert crowding_of(attempts, whole(attempts)) == ALONE
    silent = [Attempted(n, float(n), 1.0, TIMED_OUT) for n in range(200)]
    assert crowding_of(silent, whole(silent)) == ALONE


def test_others_are_those_that_had_begun_and_not_ended():
    attempts = [
        Attempted(n, at, seconds, GOOD) for n, (at, seconds) in enumerate([(0, 3), (1, 1), (2, 1), (2.5, 9), (3, 1)])
    ]
    assert others_of(attempts) == [0, 1, 1, 2, 1]


def test_alone_each_would_have_been_as_fast_as_it_is():
    attempts = made(500, rise=0.1)
    freed = alone(attempts, Crowding(0.1, 10))
    fast = made(500, rise=0.0)
    assert sorted(one.seconds for one in freed) == pytest.approx(sorted(one.seconds for one in fast))


def test_beyond_twice_what_was_seen_nothing_is_extrapolated():
    crowding = Crowding(0.1, 3)
    assert crowding.factor(6) == crowding.factor(60) == pytest.approx(math.exp(0.6))
    assert ALONE.factor(5) == 1.0
