"""Disturbances: who is disturbed when, and what becomes of the world below; floods repeat chats and nothing else."""

from __future__ import annotations

import pytest

from sidecar.core.scene import Call
from sidecar.core.vocabulary import Attempt, Binding, ErrorKind
from sidecar.replay.simulate import Arrival
from sidecar.replay.world import GOOD, NEVER
from sidecar.replay.worlds.disturbed import FLOODED, OUTAGES, Brownout, Disturbed, Flood, Outage, When, flooded

ZERO = 1000.0


class Steady:
    """Answers everybody after 0.1 s."""

    def answer(self, now, call, step):
        return 0.1, GOOD


def asked(*disturbances, at, target="switch", call=1, seed=7):
    step = Attempt(target, 1, 1.0, 0.3, Binding.ATTEMPT)
    return Disturbed(Steady(), disturbances, ZERO, seed).answer(ZERO + at, call, step)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (When(10.0, 5.0), [10.0, 14.9]),
        (When(0.0, 5.0), [0.0, 4.9]),
        (When(0.0, 5.0, 20.0), [0.0, 4.9, 20.0, 24.9, 400.0]),
        (When(3.0, 5.0, 20.0), [3.0, 7.9, 23.0]),
    ],
)
def test_it_lasts_as_long_as_it_was_said_to(when, holds):
    moments = [0.0, 3.0, 4.9, 7.9, 9.9, 10.0, 14.9, 15.0, 20.0, 23.0, 24.9, 400.0]
    assert [at for at in moments if when.holds(at)] == sorted({*holds, *(m for m in moments if _naive(when, m))})


def _naive(when, at):
    starts = [when.since + n * when.every for n in range(100)] if when.every else [when.since]
    return any(start <= at < start + when.seconds for start in starts)


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_answers_everybody_alike(kind):
    assert asked(Outage("switch", When(0.0, 5.0), kind), at=1.0) == OUTAGES[kind]


def test_others_and_other_times_are_as_they_were():
    outage = Outage("switch", When(0.0, 5.0), "refuse")
    assert asked(outage, at=5.0) == (0.1, GOOD)
    assert asked(outage, at=1.0, target="madre") == (0.1, GOOD)
    assert asked(outage, at=-1.0) == (0.1, GOOD)


def test_the_first_that_matches_decides():
    first, second = Outage("switch", When(0.0, 2.0), "refuse"), Outage("switch", When(0.0, 5.0), "hang")
    assert asked(first, second, at=1.0)[1].error is ErrorKind.CONNECT
    assert asked(first, second, at=3.0)[0] == NEVER


def test_a_brownout_slows_what_it_meets_down():
    brownout = Brownout("switch", When(0.0, 5.0), times=3.0, plus=0.5)
    assert asked(brownout, at=1.0) == (pytest.approx(0.8), GOOD)


def test_a_brownout_fails_for_its_share():
    brownout = Brownout("switch", When(0.0, 5.0), failing=0.2)
    failed = sum(asked(brownout, at=1.0, call=call) == OUTAGES["error"] for call in range(2000))
    assert 330 < failed < 470


def test_it_is_the_same_luck_each_time():
    brownout = Brownout("switch", When(0.0, 5.0), failing=0.5)
    once = [asked(brownout, at=1.0, call=call) for call in range(50)]
    assert once == [asked(brownout, at=1.0, call=call) for call in range(50)]
    assert once != [asked(brownout, at=1.0, call=call, seed=8) for call in range(50)]


def chats(*times):
    return [Arrival(ZERO + at, Call(number, 4.75)) for number, at in enumerate(times, 1)]


def test_a_flood_repeats_the_chats_of_its_time_between_them_and_the_next():
    found = list(flooded(chats(0.0, 1.0, 2.0, 3.0), [Flood(When(1.0, 2.0), 3)], ZERO, 7))
    assert [one.at for one in found] == sorted(one.at for one in found)
    recorded = [one.call.number for one in found if one.call.number < FLOODED]
    assert recorded == [1, 2, 3, 4]
    assert len(found) == 4 + 2 * 2
    assert len({one.call.number for one in found}) == 8
    between = [one.at - ZERO for one in found if one.call.number >= FLOODED]
    assert sum(1.0 <= at <= 2.0 for at in between) == sum(2.0 <= at <= 3.0 for at in between) == 2


def test_the_last_chat_is_repeated_as_well_and_no_chats_are_no_trouble():
    assert len(list(flooded(chats(0.0), [Flood(When(0.0, 1.0), 4)], ZERO, 7))) == 4
    assert list(flooded([], [Flood(When(0.0, 1.0), 4)], ZERO, 7)) == []
