"""Made-up worlds: the same for everybody who asks, in the phases and proportions that were ordered."""

from __future__ import annotations

import math
import statistics

import pytest

from sidecar.core.vocabulary import Attempt, Binding, ErrorKind, Outcome
from sidecar.replay.world import GOOD, NEVER, Behaviour, Synthetic

N = 4000


def step(target="switch", number=1):
    return Attempt(target, number, 1.0, 0.3, Binding.ATTEMPT)


def answers(behaviour, seed=1, target="switch", number=1):
    world = Synthetic({target: [(0.0, behaviour)]}, seed)
    return [world.answer(0.0, call, step(target, number)) for call in range(1, N + 1)]


def test_latencies_are_lognormal_around_their_median():
    seconds = [seconds for seconds, _ in answers(Behaviour(median=0.2, sigma=0.5))]
    assert statistics.median(seconds) == pytest.approx(0.2, rel=0.05)
    assert statistics.stdev(map(math.log, seconds)) == pytest.approx(0.5, rel=0.05)


def test_without_spread_every_answer_takes_the_median():
    assert {seconds for seconds, _ in answers(Behaviour(median=0.2, sigma=0.0))} == {0.2}


def test_failures_and_silence_come_in_their_proportions():
    failures = (Outcome(error=ErrorKind.RESET), Outcome(status=503), Outcome(status=502))
    seen = answers(Behaviour(failing=0.3, failures=failures, hanging=0.2))
    assert sum(seconds == NEVER for seconds, _ in seen) / N == pytest.approx(0.2, abs=0.02)
    for failure in failures:
        assert sum(outcome == failure for _, outcome in seen) / N == pytest.approx(0.1, abs=0.015)
    assert sum(outcome == GOOD and seconds < NEVER for seconds, outcome in seen) / N == pytest.approx(0.5, abs=0.03)


def test_all_or_nothing_is_all_or_nothing():
    assert all(seconds == NEVER for seconds, _ in answers(Behaviour(hanging=1.0, failing=1.0)))
    assert all(outcome != GOOD for _, outcome in answers(Behaviour(failing=1.0)))
    assert all(outcome == GOOD and seconds < NEVER for seconds, outcome in answers(Behaviour()))


def test_the_same_question_has_the_same_answer_whoever_asks_and_how_often():
    kind = Behaviour(sigma=1.0, failing=0.3, hanging=0.3)
    assert answers(kind) == answers(kind)


@pytest.mark.parametrize("other", [{"seed": 2}, {"target": "madre"}, {"number": 2}], ids=["seed", "target", "attempt"])
def test_another_question_has_an_answer_of_its_own(other):
    kind = Behaviour(median=1.0, sigma=1.0)
    pairs = zip(answers(kind), answers(kind, **other), strict=True)
    logs = [(math.log(one[0]), math.log(two[0])) for one, two in pairs]
    assert statistics.correlation(*zip(*logs, strict=True)) == pytest.approx(0.0, abs=0.06)


def test_a_phase_holds_from_its_moment_on_and_the_first_from_the_beginning():
    phases = [(10.0, Behaviour(median=1.0, sigma=0.0)), (20.0, Behaviour(median=2.0, sigma=0.0))]
    world = Synthetic({"switch": phases}, 1)
    at = {now: world.answer(now, 1, step())[0] for now in (0.0, 10.0, math.nextafter(20.0, 0), 20.0, 1e9)}
    assert list(at.values()) == [1.0, 1.0, 1.0, 2.0, 2.0]
