"""Listening to madre's power state: what it says is told once per change, and nothing that madre does stops the listening."""

from __future__ import annotations

import asyncio

import pytest
import virtual_loop
from kitchen import LINK_TOKEN, Peer, Place, Targets, answering, http, policy

from sidecar.core.fact import BreakerMoved, DormancyHeard
from sidecar.core.value import replace
from sidecar.core.vocabulary import Verdict
from sidecar.edge.chat import power
from sidecar.edge.chat.upstream import Upstream
from sidecar.edge.snapshot import Destination

AWAKE = {"mode": "full", "active_services": ["madre", "switch"]}
ASLEEP = {"mode": "solo_madre", "active_services": ["madre"]}


@pytest.fixture
def loop():
    made = virtual_loop.VirtualLoop()
    yield made
    made.close()


def listening(loop, place, states):
    """Let madre say each of ``states`` once, in order; what the engine heard of it, and when."""
    left = list(states)
    said_all = asyncio.Event()

    async def say():
        state = left.pop(0)
        if callable(state):
            state()
            state = left.pop(0)
        if not left:
            said_all.set()
        return state

    place.targets.power = say

    async def main():
        task = asyncio.ensure_future(power.listen(place.kitchen))
        await said_all.wait()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    loop.run_until_complete(main())
    return [(fact.at, fact.active) for fact in place.heard(DormancyHeard)]


@pytest.mark.parametrize(
    ("state", "active"),
    [
        (AWAKE, frozenset({"madre", "switch"})),
        ({"active_services": []}, frozenset()),
        (None, None),
        ([], None),
        ("switch", None),
        (7, None),
        ({}, None),
        ({"active_services": None}, None),
        ({"active_services": "switch"}, None),
        ({"active_services": {"switch": True}}, None),
        ({"active_services": ["switch", 7]}, None),
        ({"active_services": [["switch"]]}, None),
        ({"detail": "auth_required"}, None),
    ],
)
def test_only_the_shape_of_a_power_state_is_one(state, active):
    assert power.active_services(state) == active


def test_the_engine_is_told_of_changes_only_at_the_pace_of_the_policy(loop):
    place = Place(targets=Targets(), now=loop.time)
    heard = listening(loop, place, [AWAKE, AWAKE, ASLEEP, ASLEEP, None, None, ASLEEP, AWAKE])
    on, off = frozenset({"madre", "switch"}), frozenset({"madre"})
    assert heard == [(0.0, on), (10.0, off), (20.0, None), (30.0, off), (35.0, on)]


def test_a_madre_that_never_says_anything_is_no_change(loop):
    place = Place(targets=Targets(), now=loop.time)
    assert listening(loop, place, [None, {}, "x"]) == []


def test_madre_is_asked_with_her_own_token_at_her_own_address(loop):
    place = Place(targets=Targets(), now=loop.time)
    listening(loop, place, [AWAKE])
    assert place.targets.polls == [("http://madre.test:80/madre/power/state", {"X-VX11-Token": LINK_TOKEN})]
    place.in_force.current = replace(
        place.snapshot, destinations={"madre": Destination("http://m:1", "/madre/chat", None)}
    )
    listening(loop, place, [AWAKE])
    assert place.targets.polls[1:] == [("http://m:1/madre/power/state", {})]


def test_a_policy_that_ignores_the_signal_and_a_ladder_without_madre_ask_nobody(loop):
    for sections in ({"dormant": {"mode": "ignore"}}, {"targets": [{"name": "switch"}, {"name": "local"}]}):
        place = Place(policy(**sections), Targets(), now=loop.time)
        task = loop.create_task(power.listen(place.kitchen))
        loop.run_until_complete(asyncio.sleep(20))
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        assert not place.targets.polls


def test_a_reload_changes_pace_and_mode_at_the_next_poll(loop):
    place = Place(targets=Targets(), now=loop.time)

    def faster():
        place.in_force.current = replace(place.snapshot, policy=policy(dormant={"poll": "1s"}))

    assert [at for at, _ in listening(loop, place, [AWAKE, faster, ASLEEP, AWAKE, ASLEEP])] == [0, 5, 10, 11]


def test_a_window_that_opens_lets_an_open_breaker_probe_at_once(loop):
    place = Place(policy(breaker={"open": {"base": "1h", "max": "1h"}}), Targets(), now=loop.time)
    breaker = place.engine._machines["switch"].breaker

    def trip():
        for _ in range(3):
            breaker.settle(loop.time(), breaker.admit(loop.time()), Verdict.FATAL)

    listening(loop, place, [trip, ASLEEP, None, AWAKE])
    assert [(moved.before, moved.after, moved.why) for moved in place.heard(BreakerMoved)] == [
        ("open", "half_open", "window_opened")
    ]


async def test_a_madre_that_hangs_keeps_only_the_listener_waiting(monkeypatch):
    monkeypatch.setattr(power, "PATIENCE", 0.05)

    async def hang(peer, request, writer):
        await peer.gone.wait()

    async with Peer(hang) as peer:
        upstream = Upstream()
        place = Place(targets=upstream)
        assert await power._ask(place.kitchen, Destination(peer.origin, "/", None)) is None
        upstream.close()
    assert peer.requests[0].startswith(b"GET /madre/power/state HTTP/1.1\r\n")


async def test_a_real_answer_of_madre_is_understood():
    async with Peer(answering(http(b'{"mode":"x","active_services":["madre","switch"],"policy":{}}'))) as peer:
        upstream = Upstream()
        place = Place(targets=upstream)
        active = await power._ask(place.kitchen, Destination(peer.origin, "/", "link"))
        upstream.close()
    assert active == {"madre", "switch"}
    assert b"X-VX11-Token: link\r\n" in peer.requests[0]
