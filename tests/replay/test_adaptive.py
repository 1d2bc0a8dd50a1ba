"""What an adaptive limit does to a target that has an end, on virtual time: against a fixed one, and where it could hurt."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest

from sidecar.core.fact import AttemptEnded, CallEnded, Fact, LimitMoved
from sidecar.core.scene import Call
from sidecar.core.vocabulary import ErrorKind
from sidecar.replay.simulate import Arrival, World
from sidecar.replay.world import Behaviour, Synthetic
from tests.replay.known import Serial, arrivals, loaded, simulate

MADRE = [(0.0, Behaviour(median=0.1, sigma=0.2))]
NEVER_TRIPS = {"consecutive": 0, "failure_rate": "100%", "slow_call": {"duration": "60s"}}
START = 100.0  # of the arrivals


class Ran(NamedTuple):
    """Chats that the switch answered, by second, and the requests to it that timed out; seconds of all chats, in order; its limits."""

    goodput: float
    answered: float
    timeouts: int
    p95: float
    moves: list[tuple[float, int, str]]


def ran(world: World, coming: list[Arrival], adaptive: str, **limiter: Any) -> Ran:
    facts: list[Fact] = []
    rules = loaded(limiter={"max_concurrent": 16, "adaptive": adaptive, **limiter}, breaker=NEVER_TRIPS)
    simulate(world, rules, coming, facts.append)
    ended = [fact for fact in facts if isinstance(fact, CallEnded)]
    good = sum(fact.finish.provider == "switch" for fact in ended)
    asked = [fact for fact in facts if isinstance(fact, AttemptEnded) and fact.target == "switch"]
    seconds = sorted(fact.seconds for fact in ended)
    return Ran(
        good / (ended[-1].at - START),
        good / len(ended),
        sum(fact.outcome is not None and fact.outcome.error is ErrorKind.TIMEOUT for fact in asked),
        seconds[int(0.95 * len(seconds))],
        [
            (fact.at - START, fact.after, fact.why)
            for fact in facts
            if isinstance(fact, LimitMoved) and fact.target == "switch"
        ],
    )


def serial(phases: list[tuple[float, Behaviour]], servers: int = 1) -> World:
    return Serial(Synthetic({"switch": phases, "madre": MADRE}, 5), "switch", servers)


def both(phases: list[tuple[float, Behaviour]], servers: int, coming: list[Arrival], **limiter: Any) -> tuple[Ran, Ran]:
    off, on = (ran(serial(phases, servers), coming, mode, **limiter) for mode in ("off", "gradient"))
    for name, found in (("off", off), ("gradient", on)):
        print(
            f"{name:9} {found.answered:6.1%} answered by the switch, {found.goodput:5.2f}/s, "
            f"{found.timeouts:4} timeouts, p95 {found.p95:.2f} s, {dict(Counter(why for *_, why in found.moves))}"
        )
    return off, on


# -- where it helps


def test_a_serial_target_behind_sixteen_slots():
    """Four a second is what it can do, eight come: sixteen wait there for each other and time out, or one or two are answered in time."""
    off, on = both([(0.0, Behaviour(median=0.25, sigma=0.3))], 1, arrivals(2000, 8.0))
    assert off.moves == []
    assert on.goodput > 1.2 * off.goodput
    assert on.timeouts < off.timeouts / 10
    assert on.p95 < 1.1
    assert off.p95 > 4
    assert {slots for at, slots, _ in on.moves if at > 60} <= {1, 2, 3, 4}


def test_the_policy_as_it_is_shipped_before_a_switch_of_a_second():
    off, on = both([(0.0, Behaviour(median=1.0, sigma=0.3))], 1, arrivals(1000, 2.0), max_concurrent=4)
    assert on.goodput > 1.1 * off.goodput
    assert on.timeouts < off.timeouts / 8
    assert on.p95 < 0.75 * off.p95
    assert off.p95 > 4


def test_a_target_that_works_on_eight_at_once_keeps_them():
    off, on = both([(0.0, Behaviour(median=0.5, sigma=0.3))], 8, arrivals(6000, 30.0))
    assert on.goodput > 0.9 * off.goodput
    assert min(slots for at, slots, _ in on.moves if at > 30) >= 8


# -- where it would hurt, and what guards against it


def bursts(count: int, size: int, every: float, first: int = 0) -> list[Arrival]:
    """So many chats in the same tenth of a second, then nothing; the ``first`` come alone."""
    at = [START + n * every for n in range(first)]
    at += [START + n * every + k * 0.02 for n in range(first, first + count) for k in range(size)]
    return [Arrival(when, Call(number, 4.75, f"c{number}")) for number, when in enumerate(at, 1)]


def test_thin_traffic_in_bursts_keeps_its_slots():
    """Ten chats a minute, five of them together, on a target that answers all at once, some of them slowly."""
    off, on = both([(0.0, Behaviour(median=0.3, sigma=0.6))], 64, bursts(400, 5, 30.0))
    assert on == off
    assert on.moves == []


@pytest.mark.parametrize("every", [1600, 40])
def test_one_long_call_costs_nobody_a_slot(every):
    """Now and then one of four hangs, on a target that has room: what times out by itself says little, and the limit stays."""
    whole = Synthetic({"switch": [(0.0, Behaviour(median=0.3, sigma=0.3))], "madre": MADRE}, 5)

    class Hanging:
        def answer(self, now, call, step):
            seconds, outcome = whole.answer(now, call, step)
            return (60.0 if step.target == "switch" and call % every == 37 else seconds), outcome

    coming = bursts(400, 4, 10.0, first=20)
    off, on = (ran(Hanging(), coming, mode, max_concurrent=4) for mode in ("off", "gradient"))
    assert off.timeouts == on.timeouts == len(range(37, len(coming) + 1, every))
    assert on.answered == off.answered
    assert {slots for _, slots, _ in on.moves} <= {3, 4}


def test_a_model_that_is_slower_for_good_gets_all_its_slots_back():
    """Eight times slower, with room for sixteen: the limit goes down to measure it, and comes back within a minute."""
    phases = [(0.0, Behaviour(median=0.1, sigma=0.3)), (START + 200, Behaviour(median=0.8, sigma=0.3))]
    off, on = both(phases, 16, arrivals(9000, 15.0))
    before = [slots for at, slots, _ in on.moves if at < 200]
    assert before == []
    down = [at for at, slots, _ in on.moves if slots == 1]
    back = [at for at, slots, _ in on.moves if slots == 16]
    assert 200 < down[0] < back[0] < 200 + 60
    assert min([slots for at, slots, _ in on.moves if at > back[0]], default=16) >= 12
    assert on.answered > off.answered - 0.07


def test_bursts_of_which_nobody_was_ever_alone_pay_for_one_measurement():
    """Four hundred bursts of four, with four slots: some early ones meet one slot, until it is known what one chat alone takes."""
    off, on = both([(0.0, Behaviour(median=0.3, sigma=0.3))], 64, bursts(400, 4, 10.0), max_concurrent=4)
    assert [why for _, _, why in on.moves][:3] == ["unmeasured", "room", "room"]
    assert on.answered > off.answered - 0.02


def test_busy_from_the_first_chat_on_it_is_measured_once_and_then_left_alone():
    _, on = both([(0.0, Behaviour(median=0.5, sigma=0.3))], 64, arrivals(6000, 60.0))
    assert [why for _, _, why in on.moves] == ["unmeasured", "room", "room", "room", "room"]
    assert on.moves[-1][:2] == (pytest.approx(10, abs=10), 16)


def test_answers_of_very_different_length_keep_nine_slots_of_ten():
    """Two thirds of the answers lie between 0.2 and 1.4 s, one in thirty times out: there the search makes mistakes, and they are small."""
    off, on = both([(0.0, Behaviour(median=0.5, sigma=1.0))], 64, arrivals(6000, 15.0))
    assert on.goodput > 0.9 * off.goodput
