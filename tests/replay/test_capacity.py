"""Capacity: a serial target is told from one that takes as long for everybody, and what each request took it is found again."""

from __future__ import annotations

import random
from heapq import heapreplace

import pytest

from sidecar.core.value import replace
from sidecar.replay.record import Attempted
from sidecar.replay.simulate import TIMED_OUT
from sidecar.replay.world import GOOD
from sidecar.replay.worlds import capacity as module
from sidecar.replay.worlds.capacity import FEWEST, Usual, servers_of, transport_of, worked
from sidecar.replay.worlds.periods import Period


def queue(servers, count, *, seed=1, rate=8.0, service=0.1, spread=0.2, patience=9e9):
    """What is recorded of a first-come first-served target, and how long each request really took it."""
    luck = random.Random(seed)
    free = [0.0] * servers
    attempts, true, at = [], [], 10.0
    for number in range(count):
        at += luck.expovariate(rate)
        took = service * luck.lognormvariate(0, spread)
        ends = max(at, free[0]) + took
        heapreplace(free, ends)
        cut = ends - at > patience
        attempts.append(Attempted(number, at, min(ends - at, patience), TIMED_OUT if cut else GOOD))
        true.append(took)
    return attempts, true


def parallel(count, *, seed=1, rate=8.0, median=0.3, spread=0.5):
    luck = random.Random(seed)
    at, attempts = 10.0, []
    for number in range(count):
        at += luck.expovariate(rate)
        attempts.append(Attempted(number, at, median * luck.lognormvariate(0, spread), GOOD))
    return attempts


def whole(attempts):
    return [Period(0, len(attempts), 0.0, 0.0)]


@pytest.mark.parametrize("servers", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_number_of_servers_is_found(servers, seed):
    attempts, _ = queue(servers, 600, seed=seed, rate=9.0 * servers)
    found = servers_of(attempts, whole(attempts))
    assert found.servers == servers
    assert found.nats > 50


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_who_answers_as_fast_however_many_ask_is_no_queue(spread, seed):
    attempts = parallel(600, seed=seed, spread=spread)
    assert servers_of(attempts, whole(attempts)).servers is None


def test_of_requests_that_never_met_nothing_can_be_said():
    attempts, _ = queue(1, 300, rate=0.05)
    assert servers_of(attempts, whole(attempts)).servers is None
    few, _ = queue(1, FEWEST, rate=50.0)
    assert servers_of(few, whole(few)).servers is None


def test_what_a_request_took_is_what_is_left_without_the_waiting():
    attempts, true = queue(1, 300)
    found = [one.seconds for one in worked(attempts, whole(attempts), 1)]
    assert found == pytest.approx(true)
    attempts, true = queue(3, 300, rate=25.0)
    assert [one.seconds for one in worked(attempts, whole(attempts), 3)] == pytest.approx(true)


def test_a_queue_is_found_although_many_did_not_wait_for_their_turn():
    attempts, _ = queue(1, 800, rate=8.0, patience=0.35)
    assert sum(one.cut for one in attempts) > 100
    found = servers_of(attempts, whole(attempts))
    assert found.servers == 1
    took = sorted(one.seconds for one in worked(attempts, whole(attempts), 1) if one is not None and not one.cut)
    assert took[len(took) // 2] == pytest.approx(0.1, rel=0.25)


def test_of_one_that_was_given_up_while_it_waited_nobody_knows_what_it_took():
    attempts = [
        Attempted(1, 0.0, 1.0, GOOD),
        Attempted(2, 0.1, 1.2, TIMED_OUT),
        Attempted(3, 0.2, 1.2, None),
        Attempted(4, 9.0, 1.0, GOOD),
    ]
    assert [one and one.seconds for one in worked(attempts, whole(attempts), 1)] == [1.0, None, None, 1.0]


def test_one_that_was_silent_for_much_longer_than_usual_once_it_was_its_turn_hung_and_holds_nobody_up():
    attempts = [Attempted(1, 0.0, 0.1, GOOD), Attempted(2, 1.0, 3.0, TIMED_OUT), Attempted(3, 1.5, 0.1, GOOD)]
    assert [one.seconds for one in worked(attempts, whole(attempts), 1)] == pytest.approx([0.1, 3.0, 0.1])


def test_where_everybody_was_cut_off_nothing_is_worked_on():
    attempts = [Attempted(n, float(n), 3.0, TIMED_OUT) for n in range(5)]
    assert worked(attempts, whole(attempts), 1) == attempts


def test_of_a_long_record_the_stretches_where_most_met_are_enough(monkeypatch):
    quiet, _ = queue(1, 2000, rate=0.05)
    busy, _ = queue(1, 500, rate=9.0)
    shift = quiet[-1].began + 10
    attempts = [*quiet, *(replace(one, began=one.began + shift) for one in busy)]
    monkeypatch.setattr(module, "WINDOW", 100)
    found = servers_of(attempts, [Period(0, 2000, 0.0, 0.0), Period(2000, 2500, 0.0, 0.0)])
    assert found.servers == 1
    assert found.met <= 12 * 100


def test_what_is_usual_is_the_middle_of_the_last():
    usual = Usual()
    assert usual.seconds == 0.0
    for seconds in [*[9.0] * 30, *[1.0] * 15]:
        usual.add(seconds)
    assert usual.seconds == 1.0


def test_the_way_there_is_told_from_the_work():
    """Who waits in the queue has the way behind it: 4 ms that only those pay who find the target free."""
    attempts, true = queue(1, 1500, rate=7.0, spread=0.05)
    shifted, free = [], 0.0
    for one, took in zip(attempts, true, strict=True):
        ends = max(one.began + 0.004, free) + took
        free = ends
        shifted.append(replace(one, seconds=ends - one.began))
    found = transport_of(shifted, whole(shifted), 1)
    assert found == pytest.approx(0.004, abs=0.0015)
    services = [one.seconds for one in worked(shifted, whole(shifted), 1, 0.004)]
    assert services == pytest.approx(true)
    assert transport_of(attempts, whole(attempts), 1) == pytest.approx(0.0, abs=0.0015)
    assert transport_of(attempts[:10], whole(attempts[:10]), 1) == 0.0
