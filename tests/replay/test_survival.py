"""Survival: the product-limit estimate by hand, what is cut off counts as what it is, and the tail is the one that was stated."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.vocabulary import Outcome
from sidecar.replay.record import Attempted
from sidecar.replay.simulate import TIMED_OUT
from sidecar.replay.world import GOOD
from sidecar.replay.worlds.survival import ENOUGH, Survival, Tail

FAILED = Outcome(status=503)


def attempts(*observed):
    """(seconds, outcome); a time alone is a good answer, a negative one was cut off there."""
    pairs = [one if isinstance(one, tuple) else (abs(one), GOOD if one > 0 else TIMED_OUT) for one in observed]
    return [Attempted(n, float(n), seconds, outcome) for n, (seconds, outcome) in enumerate(pairs)]


def lognormal(count, cut, *, sigma=0.5, hanging=0.0, seed=1):
    luck = random.Random(seed)
    times = [math.inf if luck.random() < hanging else math.exp(sigma * luck.gauss(0, 1)) for _ in range(count)]
    return attempts(*(seconds if seconds < cut else -cut for seconds in times))


def test_without_cuts_it_is_the_share_that_took_longer():
    survival = Survival(attempts(0.1, 0.2, 0.3, 0.4))
    assert [survival.beyond(at) for at in (0.0, 0.1, 0.25, 0.4, 9.0)] == pytest.approx([1, 0.75, 0.5, 0, 0])
    assert survival.tail is None


def test_the_textbook_example_of_kaplan_and_meier():
    """Answers at 1, 3, 3, 6, cut at 2 and 5: 5/6 · 3/4 · 2/3 · 0/1, each factor over those still waited for."""
    survival = Survival(attempts(1.0, -2.0, 3.0, 3.0, -5.0, 6.0))
    found = [survival.beyond(at) for at in (1.0, 2.0, 3.0, 5.0, 6.0)]
    assert found == pytest.approx([5 / 6, 5 / 6, 5 / 12, 5 / 12, 0])


def test_of_the_same_moment_an_answer_comes_before_a_cut():
    assert Survival(attempts(-1.0, 1.0)).beyond(1.0) == pytest.approx(0.5)


def test_a_client_that_left_is_a_cut():
    assert Survival(attempts((1.0, None), 2.0)).beyond(1.5) == 1.0


@given(st.lists(st.floats(0.001, 10.0), min_size=1, max_size=30), st.floats(0, 0.999), st.floats(0, 0.999))
def test_a_draw_is_one_of_the_answers_and_a_larger_one_never_takes_less(times, u, v):
    survival = Survival(attempts(*times))
    low, high = sorted((u, v))
    first, second = survival.draw(low, lambda: 0.5), survival.draw(high, lambda: 0.5)
    assert first[0] in times
    assert first[0] <= second[0]


def test_draws_come_as_often_as_what_was_recorded():
    survival = Survival(attempts((0.1, GOOD), (0.2, FAILED), (0.3, GOOD), (0.3, GOOD)))
    drawn = [survival.draw((n + 0.5) / 1000, lambda: 0.5) for n in range(1000)]
    assert drawn.count((0.1, GOOD)) == drawn.count((0.2, FAILED)) == 250
    assert drawn.count((0.3, GOOD)) == 500


def test_what_is_known_to_have_been_silent_takes_longer():
    survival = Survival(attempts(0.1, 0.2, 0.3, 0.4))
    assert {survival.draw(u / 10, lambda: 0.5, after=0.25)[0] for u in range(10)} == {0.3, 0.4}


def test_where_nothing_ever_answered_nothing_does():
    survival = Survival(attempts(*[-1.5] * 30))
    assert survival.draw(0.5, lambda: 0.5) == (math.inf, None)
    assert survival.tail is None


def test_with_few_answers_no_tail_is_made_up():
    survival = Survival(attempts(*[0.5] * (ENOUGH - 1), *[-1.0] * 5))
    assert survival.tail is None
    assert survival.draw(0.999, lambda: 0.5) == (math.inf, None)


@pytest.mark.parametrize("cut", [1.0, 1.5, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_tail_of_lognormal_answers_is_found(cut, seed):
    tail = Survival(lognormal(3000, cut, seed=seed)).tail
    assert tail.never == 0
    assert tail.mu == pytest.approx(0.0, abs=0.05)
    assert tail.sigma == pytest.approx(0.5, rel=0.1)


def test_what_was_cut_off_is_drawn_from_the_tail_given_that_it_took_longer():
    survival = Survival(lognormal(3000, 1.5))
    drawn = [survival.draw((n + 0.5) / 1000, lambda: 0.5, after=1.5)[0] for n in range(1000)]
    assert min(drawn) >= 1.5
    true = NormalDist(0.0, 0.5)
    for seconds in (2.0, 2.5, 3.0):
        expected = (1 - true.cdf(math.log(seconds))) / (1 - true.cdf(math.log(1.5)))
        assert sum(one > seconds for one in drawn) / 1000 == pytest.approx(expected, abs=0.03)


def test_what_hangs_is_told_from_what_is_slow():
    """Half of the answers within 2.7 ms and nothing more until 1.5 s: who has not answered by then does not."""
    luck = random.Random(5)
    times = [0.002 * math.exp(0.3 * luck.gauss(0, 1)) if luck.random() < 0.7 else -1.5 for _ in range(400)]
    tail = Survival(attempts(*times)).tail
    assert tail.never == pytest.approx(0.3, abs=0.05)
    assert Survival(attempts(*times)).draw(0.5, lambda: 0.5, after=1.5) == (math.inf, None)


def test_fast_errors_do_not_make_slow_answers_look_fast():
    luck = random.Random(6)
    slow = [math.exp(0.5 * luck.gauss(0, 1)) for _ in range(700)]
    observed = [(0.002, FAILED)] * 300 + [(s, GOOD) if s < 1.5 else (1.5, TIMED_OUT) for s in slow]
    tail = Survival(attempts(*observed)).tail
    assert tail.mu == pytest.approx(0.0, abs=0.06)


def test_where_only_errors_come_they_make_the_tail():
    observed = [(0.7 + n / 100, FAILED) for n in range(30)] + [(1.0, TIMED_OUT)] * 10
    survival = Survival(attempts(*observed))
    seconds, outcome = survival.draw(0.9, lambda: 0.5)
    assert 1.0 < seconds < 2.0
    assert outcome == FAILED


def test_what_comes_in_the_tail_is_what_came_late():
    observed = [(0.01, FAILED)] * 20 + [(0.8 + n / 200, GOOD) for n in range(40)] + [(1.0, TIMED_OUT)] * 20
    survival = Survival(attempts(*observed))
    assert all(survival.draw(0.9, lambda v=v: v / 10)[1] == GOOD for v in range(10))


def test_all_answers_alike_are_a_distribution_too():
    survival = Survival(attempts(*[0.5] * 50, *[-0.6] * 2))
    assert survival.tail is not None
    assert survival.draw(0.5, lambda: 0.5) == (0.5, GOOD)


def test_a_tail_of_nothing_but_silence_ends_nowhere():
    tail = Tail(0.0, 0.5, 1.0)
    assert tail.after(1.0, 0.5) == math.inf
    assert Tail(0.0, 0.5).beyond(1.0) == pytest.approx(0.5)
    assert Tail(0.0, 0.5, 0.2).after(1.0, 0.9999) == math.inf


def test_what_was_silent_for_longer_than_anything_on_record_is_in_the_tail():
    """All that was waited for to its end has come by then, and a tail is there because something was cut off before."""
    survival = Survival(attempts(*[0.1 + n / 100 for n in range(20)], -0.15))
    assert survival.beyond(1.0) == 0
    assert survival.tail is not None
    seconds, outcome = survival.draw(0.5, lambda: 0.5, after=1.0)
    assert seconds >= 1.0
    assert outcome == GOOD
