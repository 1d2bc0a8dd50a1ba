"""A candidate beside a live engine in generated worlds: the same policy makes the same of everything, another one what it really would.

What is shown of another one, exactly: let U be the first moment at which a call became undecided. Up to U the candidate's facts are
those of a run of the candidate in the same world on the same calls; so every call decided before U is decided rightly, and of the call
undecided at U it is rightly said whether its primary had been left.
"""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.comparison import Compared, Result, ending
from sidecar.core.draw import draw
from sidecar.core.engine import Engine
from sidecar.core.fact import CallBegan, CallEnded, EventHeard, FellBack, HealthHeard, PolicyAdopted
from sidecar.core.shadow import SAME, Shadow
from sidecar.core.value import Value, astuple, replace
from sidecar.core.vocabulary import Abandoned, Override, Reason
from sidecar.policy.model import Policy
from sidecar.replay.simulate import Arrival, Simulation
from tests.replay.worlds import World, policy

WORLDS = 60
CALLS = 100


class ByMoment:
    """Targets answer by the moment they are asked at, whatever the number of the attempt: two policies that ask at one moment hear the same."""

    def __init__(self, answers) -> None:
        self._answers = answers

    def answer(self, now, call, step):
        number = int(draw(call, *math.frexp(now)[1:], int(math.frexp(now)[0] * 2**52)) * 2**40)
        return self._answers.answer(now, call, replace(step, number=number))


class Late(Simulation):
    """Timers that are late by up to ``most`` seconds, as those of a loop are; what arrives does so in time."""

    def __init__(self, engine, world, most: float, seed: int) -> None:
        super().__init__(engine, world)
        self._most, self._luck = most, random.Random(seed)

    def _push(self, when, running, turn, due) -> None:
        super()._push(max(when, self.now) + self._luck.uniform(0, self._most), running, turn, due)


def orders(world: World, engine: Engine):
    """What operators decide in a world, of targets that both policies know: in every other world nothing."""
    luck = random.Random(world.seed)
    kinds = luck.choice(((), (None, *Override)))
    times = sorted(luck.uniform(10, world.end) for _ in range(4)) if kinds and not world.grid else ()
    for at, kind in [(at, luck.choice(kinds)) for at in times]:
        yield at, lambda now, kind=kind: engine.override(now, "switch", kind)


class Beside:
    """One world, run under its own policy with a candidate beside it."""

    def __init__(self, world: World, candidate: Policy, *, same: float = SAME, late: float = 0.0) -> None:
        self.world = world
        self.facts: list = []
        self.said: list = []
        self.told: list[Compared] = []
        self.shadow = Shadow(
            9.5,
            candidate,
            revision="r0",
            source="s",
            seed=world.seed,
            tell=self.told.append,
            emit=self.said.append,
            same=same,
        )
        engine = world.engine(self._emit)
        answers = ByMoment(world.answers())
        simulation = Late(engine, answers, late, world.seed) if late else Simulation(engine, answers)
        for at, happening in (*world.happenings(engine), *orders(world, engine)):
            simulation.at(at, happening)
        simulation.run(world.arrivals)
        self.shadow.advance(world.end + 1000)

    def _emit(self, fact) -> None:
        self.facts.append(fact)
        self.shadow.take(fact)

    @property
    def left(self) -> dict[int, float]:
        """When clients really left, by call."""
        return {
            fact.call: fact.at
            for fact in self.facts
            if isinstance(fact, EventHeard) and isinstance(fact.event, Abandoned)
        }

    def known(self) -> list:
        """What the candidate said before the first call was undecided: that is told to it as a client that left, who did not."""
        left = self.left
        for place, fact in enumerate(self.said):
            if isinstance(fact, EventHeard) and isinstance(fact.event, Abandoned) and left.get(fact.call) != fact.at:
                return self.said[:place]
        return self.said


def steady(number: int, **kind) -> World:
    """A world in which nobody reloads: one policy is in force throughout."""
    world = World(number, CALLS, hedged=False, **kind)
    world.policies, world.reloads = world.policies[:1], []
    return world


def all_the_same(number: int, same: float, late: float) -> Counter[str | None]:
    """How the calls of a world ended, to all of which a candidate equal to the policy in force has said the very same."""
    world = steady(number, benign=number % 5 == 0, grid=number % 3 == 1 and not late)
    beside = Beside(world, world.policies[0], same=same, late=late)
    assert beside.said == beside.facts, number
    assert {told.result for told in beside.told} == {Result.AGREES}, number
    assert {told.seconds for told in beside.told} <= {0.0, None}
    return Counter(told.active for told in beside.told)


@pytest.mark.parametrize(("same", "late"), [(0.0, 0.0), (SAME, 0.0), (SAME, 0.004)])
def test_the_same_policy_says_the_same_facts_and_agrees_on_every_call(same, late):
    calls = sum((all_the_same(number, same, late) for number in range(WORLDS)), Counter())
    assert calls.total() == WORLDS * CALLS
    assert min(calls[name] for name in ("primary", "fallback", "local", "failed", "client_gone")) > 30, calls


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from([0.0, 0.004]))
def test_nor_is_there_any_other_world_in_which_it_differs(number, late):
    all_the_same(number, SAME, late)


def other(number: int, world: World) -> Policy:
    """A candidate for a world: its policy with one to three things changed, so that something stays decided."""
    luck = random.Random(number)
    changes = (
        {"timeouts": {"attempt": luck.choice(("200ms", "600ms", "2s"))}},
        {"breaker": {"consecutive": luck.choice((1, 2, 0)), "failure_rate": "100%"}},
        {"limiter": {"max_concurrent": luck.choice((1, 3)), "queue": luck.choice((0, 2))}},
        {"retry": {"max_attempts": luck.choice((1, 2, 4))}},
        {"deadline": {"client": luck.choice(("3s", "4s", "8s"))}},
        {"fallback": {"on": luck.choice((["failure"], ["open"], []))}},
        {"dormant": {"mode": luck.choice(("obey", "ignore"))}},
        {"targets": [{"name": "switch"}]},
    )
    stated = world.policies[0].model_dump(mode="json", exclude_unset=True)
    for change in luck.sample(changes, luck.choice((1, 1, 2, 3))):
        stated = _laid(stated, change)
    return policy(**stated)


def _laid(below, above):
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: _laid(below[key], value) if key in below else value for key, value in above.items()}}


def really(beside: Beside, candidate: Policy) -> list:
    """The facts of the candidate in the same world, on the same calls, whose clients leave when they were seen to leave."""
    world, left = beside.world, beside.left
    facts: list = []
    engine = Engine(9.5, candidate, revision="r0", source="s", seed=world.seed, emit=facts.append)
    simulation = Simulation(engine, ByMoment(world.answers()))
    heard = [(at, lambda now, active=active: engine.hear_dormancy(now, active)) for at, active in world.powers]
    probed = [
        (fact.at, lambda now, f=fact: engine.hear_health(now, f.target, f.outcome, busy=f.busy, seconds=f.seconds))
        for fact in beside.facts
        if isinstance(fact, HealthHeard)
    ]
    for at, happening in (*heard, *probed, *orders(world, engine)):
        simulation.at(at, happening)
    patience = {fact.call: fact.patience for fact in beside.said if isinstance(fact, CallBegan)}
    simulation.run(
        Arrival(
            each.at,
            replace(each.call, patience=patience[each.call.number]),
            left[each.call.number] - each.at if each.call.number in left else None,
        )
        for each in world.arrivals
    )
    return facts


def rounded(fact) -> str:
    """A fact without the last digits of its times: where a moment is left to the real call, the candidate's is later by as little as can be."""
    if isinstance(fact, PolicyAdopted):
        return "adopted"
    return repr(_digits(fact))


def _digits(value):
    if isinstance(value, float):
        return round(value, 6) + 0.0  # -0.0 is 0.0
    if isinstance(value, Value):
        value = (type(value).__name__, *astuple(value))
    return (type(value).__name__, *map(_digits, value)) if isinstance(value, tuple) else value


def decided_rightly(number: int) -> tuple[Counter[str], bool]:
    """Results decided before the first undecided call, and whether there was one."""
    world = World(number, CALLS, hedged=False)
    candidate = other(number, world)
    beside = Beside(world, candidate, same=0.0)
    truth, known = really(beside, candidate), beside.known()
    for said, true in zip(known, truth, strict=False):
        assert said == true or rounded(said) == rounded(true), number
    ends, real, active = (
        {fact.call: fact for fact in facts if isinstance(fact, CallEnded)} for facts in (known, truth, beside.facts)
    )
    undecided = None if len(known) == len(beside.said) else beside.said[len(known)].call
    found: Counter[str] = Counter()
    for told in beside.told:
        if told.call in ends:
            assert told.candidate == ending(real[told.call].finish), number
            agrees = without_attempt(real[told.call]) == without_attempt(active[told.call])
            assert told.result is (Result.AGREES if agrees else Result.DIFFERS), number
            found[told.result] += 1
        elif told.call == undecided:
            fell = any(
                isinstance(fact, FellBack) and fact.call == undecided and fact.reason is not Reason.AFFINITY
                for fact in known
            )
            assert told.result is (Result.NOT_PRIMARY if fell else Result.UNDECIDED), number
            found[told.result] += 1
    assert len(known) <= len(truth)
    return found, undecided is not None


def without_attempt(ended: CallEnded):
    return replace(ended.finish, attempt=None)


def test_another_policy_is_decided_as_it_really_would_have_been():
    found, stopped = Counter(), 0
    for number in range(WORLDS):
        results, undecided = decided_rightly(number)
        found += results
        stopped += undecided
    print(f"before the first undecided call of {WORLDS} worlds: {dict(found)}; {stopped} worlds have one")
    assert found[Result.AGREES] > 1500
    assert found[Result.DIFFERS] > 200
    assert found[Result.NOT_PRIMARY] > 5
    assert stopped > WORLDS / 2


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**40))
def test_nor_is_there_any_other_world_in_which_it_is_not(number):
    decided_rightly(number)
