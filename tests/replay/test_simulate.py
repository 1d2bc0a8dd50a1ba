"""The simulator performs plans as the live driver does: the same facts, to the last digit, in worlds of every kind."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from virtual_loop import VirtualLoop

from sidecar.core.engine import Engine
from sidecar.core.fact import (
    AttemptEnded,
    BreakerMoved,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    HealthHeard,
    HedgeDenied,
    HedgeEnded,
    LimitMoved,
    Refused,
    Retried,
)
from sidecar.core.scene import Call
from sidecar.core.value import replace
from sidecar.core.vocabulary import Abandoned, Answered, Attempt, Binding, Finish, Reason, Woke
from sidecar.edge.chat.drive import Drive
from sidecar.edge.chat.upstream import Asked
from sidecar.replay.simulate import TIMED_OUT, Arrival, Simulation
from sidecar.replay.world import GOOD, NEVER
from tests.replay.worlds import KINDS, World, policy

CALLS = 100  # of each world


def live(world):
    """The facts of a world driven by asyncio, tenacity and the live driver."""
    facts = []
    loop = VirtualLoop()
    engine = world.engine(facts.append)
    answers = world.answers()
    tasks = set()

    async def one(arrival):
        plan = engine.begin(loop.time(), arrival.call)

        async def ask(step):
            seconds, outcome = answers.answer(loop.time(), arrival.call.number, step)
            try:
                async with asyncio.timeout(step.timeout):
                    await (asyncio.Event().wait() if seconds == NEVER else asyncio.sleep(seconds))
            except TimeoutError:
                outcome = TIMED_OUT
            return Asked(outcome)

        leaving = None
        if arrival.leaves_after is not None:
            leaving = loop.call_later(arrival.leaves_after, asyncio.current_task().cancel)
        try:
            await Drive(plan, ask, loop.time).run()
        finally:
            if leaving is not None:
                leaving.cancel()

    def come(arrival, rest):
        tasks.add(loop.create_task(one(arrival)))
        loop.call_soon(
            wait_for_next, rest
        )  # once the first step of this one was taken, as a server accepts connections

    def wait_for_next(rest):
        following = next(rest, None)
        if following is None:
            everybody.set_result(None)
        else:
            loop.call_at(following.at, come, following, rest)

    async def all_calls():
        await everybody
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        everybody = loop.create_future()
        for at, happening in world.happenings(engine):
            loop.call_at(at, loop.call_soon, happening, at)  # in a task of its own, as live
        wait_for_next(iter(world.arrivals))
        loop.run_until_complete(all_calls())
    finally:
        loop.close()
    return facts


def simulated(world):
    facts = []
    world.simulate(facts.append)
    return facts


def compared(worlds):
    """Numbers of calls, facts and worlds whose traces differ. Floats as they are: both drivers add the same numbers in the same order."""
    calls = facts = 0
    differing = []
    for name, world in worlds:
        one, other = live(world), simulated(world)
        calls += sum(isinstance(fact, CallBegan) for fact in other)
        facts += len(other)
        last = world.end + 60  # a reload after the last call is in both
        if [fact for fact in one if fact.at < last] != [fact for fact in other if fact.at < last]:
            differing.append(name)
    return calls, facts, differing


@pytest.mark.uncounted
def test_twenty_thousand_calls_are_told_the_same_live_and_simulated(capsys):
    began = time.perf_counter()
    worlds = [(number, World(number, CALLS, benign=number % 5 == 0)) for number in range(200)]
    calls, facts, differing = compared(worlds)
    with capsys.disabled():
        seconds = time.perf_counter() - began
        print(f"\nconformance: {calls} calls, {facts} facts, {len(differing)} differing traces, {seconds:.1f} s")
    assert differing == []
    assert calls == 20_000


@pytest.mark.uncounted
def test_twenty_thousand_calls_are_told_the_same_with_everything_on(capsys):
    """Hedges, limits that move, slow start, health probes, sessions that stay and faults on purpose, with reloads among such policies."""
    worlds = [(number, World(number, CALLS, complete=True)) for number in range(2000, 2200)]
    calls, facts, differing = compared(worlds)
    with capsys.disabled():
        print(f"\nconformance with everything on: {calls} calls, {facts} facts, {len(differing)} differing traces")
    assert differing == []
    assert calls == 20_000


def test_in_a_complete_world_everything_that_is_on_does_something():
    facts = [fact for number in range(2000, 2010) for fact in simulated(World(number, CALLS, complete=True))]
    kinds = {type(fact) for fact in facts}
    assert {HedgeEnded, HedgeDenied, LimitMoved, HealthHeard} <= kinds
    assert {fact.reason for fact in facts if isinstance(fact, Refused)} >= {
        Reason.AFFINITY,
        Reason.UNHEALTHY,
        Reason.OPEN,
    }
    assert {fact.why for fact in facts if isinstance(fact, LimitMoved)} >= {"timeout", "slow_start"}


@pytest.mark.uncounted
def test_calls_that_meet_at_the_very_same_moments_are_told_the_same():
    """Ties: arrivals, answers, leaving clients, reloads and power states at whole tenths of a second."""
    calls, _, differing = compared((number, World(number, CALLS, grid=True)) for number in range(1000, 1040))
    assert differing == []
    assert calls == 4_000


def test_the_generated_worlds_have_everything_in_them():
    """A conformance of worlds in which nothing happens would show nothing."""
    facts = [fact for number in range(40) for fact in simulated(World(number, CALLS))]
    assert {fact.finish.provider for fact in facts if isinstance(fact, CallEnded)} == {"switch", "madre", "local", None}
    assert {fact.first_reason for fact in facts if isinstance(fact, CallEnded)} >= {
        Reason.OPEN, Reason.FAILURE, Reason.TIMEOUT, Reason.BUDGET, Reason.LIMITED, Reason.DORMANT, Reason.MISCONFIGURED,
        Reason.AFFINITY,
    }  # fmt: skip
    assert {fact.won for fact in facts if isinstance(fact, HedgeEnded)} == {"first", "hedge", "none", "left"}
    assert {fact.why for fact in facts if isinstance(fact, HedgeDenied)} >= {"open", "load", "limited", "budget"}
    events = [fact.event for fact in facts if isinstance(fact, EventHeard)]
    assert {type(event) for event in events} == {Answered, Woke, Abandoned}
    assert {event.outcome.error for event in events if isinstance(event, Answered)} == {None, *KINDS}
    assert {fact.why for fact in facts if isinstance(fact, BreakerMoved)} >= {
        "failure_rate", "consecutive", "probe_failed", "recovered", "timer", "window_opened",
    }  # fmt: skip
    assert {fact.why for fact in facts if isinstance(fact, LimitMoved)} >= {
        "room", "timeout", "unmeasured", "slow_start", "policy",
    }  # fmt: skip
    assert max(fact.number for fact in facts if isinstance(fact, AttemptEnded)) >= 5
    assert sum(isinstance(fact, Retried) for fact in facts) > 100
    assert any(isinstance(fact, DormancyHeard) for fact in facts)
    ended = [fact.call for fact in simulated(World(3, CALLS)) if isinstance(fact, CallEnded)]
    assert sorted(ended) == list(range(1, CALLS + 1))


# -- the simulator by itself -------------------------------------------------------------------------------------------


class Scripted:
    """Answers by (call, target); the default is an answer after 0.1 s."""

    def __init__(self, **by_target):
        self.by_target = by_target
        self.asked = []

    def answer(self, now, call, step):
        self.asked.append((now, call, step.target))
        return self.by_target.get(step.target, {}).get(call, (0.1, GOOD))


def run(world, arrivals, prepare=lambda simulation, engine: None, **sections):
    facts = []
    engine = Engine(0.0, policy(**sections), revision="r", source="s", seed=1, emit=facts.append)
    simulation = Simulation(engine, world)
    prepare(simulation, engine)
    simulation.run(arrivals)
    return facts


def heard(facts, kind):
    return [fact for fact in facts if isinstance(fact, kind)]


FINISH = Finish("switch", 1, degraded=False, reason=None)
ONE = [Arrival(1.0, Call(1, 4.75, "c"))]


def test_no_arrivals_are_no_trouble():
    assert [type(fact).__name__ for fact in run(Scripted(), [])] == ["PolicyAdopted"]


def test_a_target_that_never_answers_times_out_when_its_attempt_does():
    [first, _] = heard(run(Scripted(switch={1: (NEVER, GOOD)}), ONE), AttemptEnded)
    assert (first.target, first.outcome, first.at) == ("switch", TIMED_OUT, 4.25)


def test_an_answer_at_the_very_timeout_is_too_late():
    facts = run(Scripted(switch={1: (0.5, GOOD)}), ONE, timeouts={"attempt": "500ms"})
    assert [fact.outcome for fact in heard(facts, AttemptEnded)] == [TIMED_OUT, GOOD]


def test_a_client_that_leaves_after_its_answer_is_not_told_to_anybody():
    facts = run(Scripted(), [replace(ONE[0], leaves_after=2.0)])
    assert [type(fact.event) for fact in heard(facts, EventHeard)] == [Answered]


def test_a_client_that_leaves_frees_its_slot_for_who_waits():
    world = Scripted(switch={1: (NEVER, GOOD)})
    arrivals = [replace(ONE[0], leaves_after=0.15), Arrival(1.1, Call(2, 4.75, "d"))]
    facts = run(world, arrivals, limiter={"max_concurrent": 1, "queue": 1, "queue_timeout": "200ms"})
    assert [now for now, call, _ in world.asked if call == 2] == [1.15]
    assert [fact.finish.provider for fact in heard(facts, CallEnded)] == [None, "switch"]


def test_a_place_in_the_queue_that_ran_out_is_not_woken_again():
    world = Scripted(switch={1: (1.0, GOOD)})
    arrivals = [ONE[0], Arrival(1.1, Call(2, 4.75, "d"))]
    facts = run(world, arrivals, limiter={"max_concurrent": 1, "queue": 1, "queue_timeout": "200ms"})
    assert [fact.reason for fact in heard(facts, Refused)] == [Reason.LIMITED]
    assert len(heard(facts, EventHeard)) == 3  # two answers, and the one wake-up of the queue


def test_a_reload_that_makes_room_wakes_who_waits_at_its_own_time():
    world = Scripted(switch={1: (3.0, GOOD)})
    tight = {"max_concurrent": 1, "queue": 1, "queue_timeout": "900ms"}
    roomy = policy(limiter={"max_concurrent": 2})

    def prepare(simulation, engine):
        simulation.at(1.5, lambda now: engine.adopt(now, roomy, revision="r2", source="s"))

    run(world, [ONE[0], Arrival(1.1, Call(2, 4.75, "d"))], prepare, limiter=tight)
    assert [now for now, call, _ in world.asked if call == 2] == [1.5]


def test_arrivals_are_taken_one_at_a_time():
    taken = []

    def endless():
        for number in range(1, 1001):
            taken.append(number)
            yield Arrival(float(number), Call(number, 4.75, ""))

    seen = []
    facts = []
    engine = Engine(0.0, policy(), revision="r", source="s", seed=1, emit=facts.append)
    simulation = Simulation(engine, Scripted())
    simulation.at(10.5, lambda now: seen.append(len(taken)))
    simulation.run(endless())
    assert seen == [11]
    assert len(heard(facts, CallEnded)) == 1000


def test_an_answer_whose_moment_is_that_of_its_timeout_is_too_late_though_it_takes_a_little_less():
    """16.3 + 0.1 is the same float as 16.3 + 0.10000000000000142, and live the timeout was set first."""
    timeout = 0.10000000000000142
    step = Attempt("switch", 1, timeout, 0.3, Binding.ATTEMPT)
    heard = []
    plan = SimpleNamespace(finish=None, send=lambda event: heard.append(event) or FINISH, start=lambda: step)
    engine = SimpleNamespace(begin=lambda now, call: plan)
    Simulation(engine, Scripted(switch={1: (0.1, GOOD)})).run([Arrival(16.3, Call(1, 4.75, "c"))])
    assert heard == [Answered(16.3 + timeout, TIMED_OUT)]
