"""Periods: cut where a target changed and nowhere else, and the change is put where nobody knows better."""

from __future__ import annotations

import math
import random

import pytest

from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.replay.record import Attempted
from sidecar.replay.simulate import TIMED_OUT
from sidecar.replay.world import GOOD
from sidecar.replay.worlds import periods as module
from sidecar.replay.worlds.periods import Periods

REFUSED = Outcome(error=ErrorKind.CONNECT)


def made(*stretches):
    """Attempts of stretches (count, every, seconds, outcome), one after the other."""
    attempts, at = [], 100.0
    for count, every, seconds, outcome in stretches:
        for _ in range(count):
            attempts.append(Attempted(len(attempts), at, seconds, outcome))
            at += every
    return attempts


def sizes(attempts):
    return [period.last - period.first for period in Periods(attempts).listed]


def test_a_target_that_never_changes_has_one_period_that_holds_for_ever():
    [period] = Periods(made((50, 1.0, 0.02, GOOD))).listed
    assert period == (0, 50, -math.inf, math.inf)


def test_an_outage_is_a_period_of_its_own():
    attempts = made((40, 0.1, 0.02, GOOD), (12, 5.0, 1.0, TIMED_OUT), (40, 0.1, 0.02, GOOD))
    assert sizes(attempts) == [40, 12, 40]


def test_the_change_is_in_the_middle_between_the_last_that_ended_before_it_and_the_first_after_it():
    attempts = made((40, 0.1, 0.02, GOOD), (12, 5.0, 1.0, TIMED_OUT), (40, 0.1, 0.02, GOOD))
    _, outage, after = Periods(attempts).listed
    last, first = attempts[51], attempts[52]
    assert after.since == (last.began + last.seconds + first.began) / 2 == outage.until
    assert outage.since == (attempts[39].began + 0.02 + attempts[40].began) / 2


def test_of_attempts_that_overlap_a_change_the_later_beginning_decides():
    attempts = made((40, 0.1, 3.0, GOOD), (40, 0.1, 0.001, REFUSED))
    assert Periods(attempts).listed[1].since == attempts[40].began


def test_a_moment_belongs_to_the_period_that_holds_then():
    periods = Periods(made((40, 0.1, 0.02, GOOD), (40, 0.1, 0.001, REFUSED)))
    change = periods.listed[1].since
    assert [periods.at(moment) for moment in (-1.0, change - 0.01, change, 1e9)] == [0, 0, 1, 1]


def test_a_target_that_became_slower_is_another_one():
    assert sizes(made((60, 1.0, 0.02, GOOD), (60, 1.0, 0.6, GOOD))) == [60, 60]


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_no_change(seed):
    luck = random.Random(seed)
    outcomes = [REFUSED if luck.random() < 0.2 else GOOD for _ in range(400)]
    attempts = [Attempted(n, float(n), luck.lognormvariate(-2, 0.5), outcome) for n, outcome in enumerate(outcomes)]
    assert len(Periods(attempts).listed) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_that_changes_is_found_near_its_change(seed):
    luck = random.Random(seed)
    share = [0.05] * 300 + [0.6] * 300
    attempts = [Attempted(n, float(n), 0.05, REFUSED if luck.random() < p else GOOD) for n, p in enumerate(share)]
    [_, second] = Periods(attempts).listed
    assert abs(second.first - 300) <= 15


def test_two_attempts_are_too_few_to_be_sure_of_a_change():
    assert sizes(made((1, 1.0, 0.02, GOOD), (1, 1.0, 1.0, TIMED_OUT))) == [2]


def test_who_left_says_nothing():
    attempts = made((30, 1.0, 0.02, GOOD), (30, 1.0, 0.02, None), (30, 1.0, 0.02, GOOD))
    assert sizes(attempts) == [90]
    assert sizes(made((5, 1.0, 1.0, None))) == [5]


def test_a_long_record_is_cut_at_the_same_places_though_it_is_looked_at_in_pieces(monkeypatch):
    attempts = made((403, 0.1, 0.02, GOOD), (206, 0.1, 1.0, TIMED_OUT), (391, 0.1, 0.02, GOOD))
    assert sizes(attempts) == [403, 206, 391]
    monkeypatch.setattr(module, "MOST_ATOMS", 50)
    assert sizes(attempts) == [403, 206, 391]


def test_flapping_has_a_period_for_each_side():
    flaps = [(50, 0.2, 0.002, GOOD), (6, 1.7, 0.001, REFUSED)] * 10
    assert sizes(made(*flaps)) == [50, 6] * 10
