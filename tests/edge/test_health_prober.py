"""The prober: in virtual time when it asks whom, on loopback what a target that is busy, dead or back leads to."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
import virtual_loop
from kitchen import LINK_TOKEN, Peer, Place, Targets, answering, full, http, policy, reset, until

from sidecar.core.fact import AttemptStarted, CallEnded, HealthHeard, HealthMoved, Refused
from sidecar.core.scene import Call
from sidecar.core.value import replace
from sidecar.core.vocabulary import Abandoned, ErrorKind, Outcome, Reason, Verdict
from sidecar.edge.chat import health
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.drive import Drive
from sidecar.edge.chat.upstream import Upstream
from sidecar.edge.snapshot import Destination

WELL = Outcome(status=200)
STEADY = {"mode": "probe", "jitter": 0}
ONLY_SWITCH = {"targets": [{"name": "switch"}, {"name": "local"}]}


@pytest.fixture
def loop():
    made = virtual_loop.VirtualLoop()
    yield made
    made.close()


def probing(loop, place, seconds, during=()):
    """Probe both targets for some time; ``during`` are (time, what happens then)."""

    async def main():
        tasks = [asyncio.ensure_future(health.probe(place.kitchen, name)) for name in health.PROBED]
        for at, happens in during:
            await asyncio.sleep(at - loop.time())
            happens()
        await asyncio.sleep(seconds - loop.time())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(main())


def times(place, target="switch"):
    return [fact.at for fact in place.heard(HealthHeard) if fact.target == target]


# -- who is asked, where, and when ------------------------------------------------------------------------------------


def test_every_target_with_a_path_is_one_that_can_be_probed():
    assert health.PROBED == ("switch", "madre")


def test_nobody_is_probed_by_the_default_policy(loop):
    place = Place(targets=Targets(), now=loop.time)
    probing(loop, place, 60)
    assert not place.targets.probes
    assert not place.heard(HealthHeard, HealthMoved)


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_nobody_is_probed_where_no_target_is_ever_asked(loop, mode):
    place = Place(policy(health=STEADY, mode=mode), Targets(), now=loop.time)
    probing(loop, place, 60)
    assert not place.targets.probes


def test_targets_are_probed_at_their_own_address_and_pace_and_the_first_time_within_an_interval(loop):
    place = Place(policy(health=STEADY), Targets(), now=loop.time)
    probing(loop, place, 60)
    assert set(place.targets.probes) == {("http://switch.test:80/health", 1.0), ("http://madre.test:80/health", 3.0)}
    for target in health.PROBED:
        at = times(place, target)
        assert 0 <= at[0] < 5
        assert [round(after - before, 9) for before, after in itertools.pairwise(at)] == [5.0] * 11


def test_turns_are_spread_by_the_jitter_and_differ_from_process_to_process(loop):
    place = Place(policy(health={"mode": "probe"}), Targets(), now=loop.time)
    probing(loop, place, 600)
    at = times(place)
    turns = [after - before for before, after in itertools.pairwise(at)]
    assert all(4 - 1e-9 <= turn <= 6 + 1e-9 for turn in turns)
    assert max(turns) - min(turns) > 1.5
    assert sum(turns) / len(turns) == pytest.approx(5, abs=0.3)
    assert at != times(place, "madre")


def test_a_slow_probe_is_part_of_its_turn_and_one_that_is_longer_delays_the_next(loop):
    seconds = iter([2.0, 2.0, 7.0, 2.0, 2.0])
    place = Place(policy(health=STEADY, **ONLY_SWITCH), Targets(), now=loop.time)

    async def slow(_):
        await asyncio.sleep(next(seconds, 0.0))
        return WELL

    place.targets.health = slow
    probing(loop, place, 40)
    at = times(place)
    assert [round(after - before, 9) for before, after in itertools.pairwise(at)][:4] == [5.0, 10.0, 2.0, 5.0]
    assert [round(fact.seconds, 9) for fact in place.heard(HealthHeard)][:3] == [2.0, 2.0, 7.0]


def test_a_target_that_hangs_keeps_only_its_own_prober_waiting(loop):
    place = Place(policy(health=STEADY), Targets(), now=loop.time)

    async def hang(url):
        if "switch" in url:
            await asyncio.sleep(3600)
        return WELL

    place.targets.health = hang
    probing(loop, place, 60)
    assert not times(place)
    assert len(times(place, "madre")) == 12


def test_a_reload_switches_probes_on_and_off_and_gives_them_another_pace(loop):
    place = Place(targets=Targets(), now=loop.time)

    def adopt(**sections):
        rules = policy(**sections)

        def adopted():
            place.engine.adopt(loop.time(), rules, revision="r", source="test")
            place.in_force.current = replace(place.snapshot, policy=rules)

        return adopted

    fast = {**STEADY, "interval": "1s"}
    probing(loop, place, 90, [(30, adopt(health=fast)), (60, adopt())])
    at = times(place)
    assert 30 <= at[0] <= 35
    assert at[-1] <= 60
    assert len(at) >= 25


def test_a_target_that_is_not_on_the_ladder_is_left_alone(loop):
    place = Place(policy(health=STEADY, **ONLY_SWITCH), Targets(), now=loop.time)
    probing(loop, place, 30)
    assert {url for url, _ in place.targets.probes} == {"http://switch.test:80/health"}


# -- busy ---------------------------------------------------------------------------------------------------------------


def chat_for(loop, place, begins, lasts):
    """A chat on the switch from ``begins`` on; what happens at its begin, and at its end."""
    running = place.engine.begin
    held = []

    def begin():
        plan = running(loop.time(), Call(int(begins * 10), 60.0, "c"))
        plan.start()
        held.append(plan)

    def end():
        held.pop().send(Abandoned(loop.time()))

    return (begins, begin), (begins + lasts, end)


@pytest.mark.parametrize(
    ("begins", "lasts", "busy"),
    [(0.0, 100.0, True), (10.5, 0.1, True), (9.9, 0.2, True), (10.9, 5.0, True), (9.0, 0.5, False), (11.5, 1.0, False)],
    ids=["all the time", "within", "at its begin", "at its end", "before", "after"],
)
def test_a_probe_is_busy_if_a_chat_was_in_flight_at_any_time_of_it(loop, monkeypatch, begins, lasts, busy):
    monkeypatch.setattr(health, "_draw", lambda *_: 0.5)
    place = Place(policy(health={**STEADY, "interval": "20s"}, **ONLY_SWITCH), Targets(), now=loop.time)

    async def silent(_):  # from 10 s to 11 s
        await asyncio.sleep(1.0)
        return Outcome(error=ErrorKind.TIMEOUT)

    place.targets.health = silent
    probing(
        loop,
        place,
        12.0,
        [when for when in chat_for(loop, place, begins, lasts) if when[0] < 12],
    )
    [heard] = place.heard(HealthHeard)
    assert (heard.at, heard.busy) == (11.0, busy)
    assert heard.verdict is (Verdict.IGNORED if busy else Verdict.FATAL)


# -- on loopback ----------------------------------------------------------------------------------------------------------


async def probed(port, path="/health", within=1.0):
    upstream = Upstream()
    try:
        return await upstream.probe(f"http://127.0.0.1:{port}{path}", within)
    finally:
        upstream.close()


async def test_a_probe_is_a_get_without_a_token_on_a_connection_of_its_own():
    async with Peer(answering(http(b'{"status":"ok"}', "200 OK", "Connection: close"), then="close")) as peer:
        assert await probed(peer.port, "/health") == WELL
        assert peer.requests == [
            f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\nConnection: close\r\n\r\n".encode()
        ]


async def test_a_probe_takes_no_connection_that_is_kept_for_chats():
    async with Peer(answering(http(b"{}"))) as peer:
        upstream = Upstream()
        assert await upstream.get(f"{peer.origin}/x", {}, 1.0) == {}
        await upstream.probe(f"{peer.origin}/health", 1.0)
        assert peer.connections == 2
        upstream.close()


async def reset_it(peer, request, writer):
    reset(writer)


async def hang(peer, request, writer):
    await peer.gone.wait()


@pytest.mark.parametrize(
    ("behave", "outcome"),
    [
        (answering(http(b"{}")), WELL),
        (answering(http(b"", "204 No Content")), Outcome(status=204)),
        (answering(http(b"not JSON, and nobody minds")), WELL),
        (answering(http(b"{}", "503 Service Unavailable")), Outcome(status=503)),
        (answering(http(b"{}", "405 Method Not Allowed")), Outcome(status=405)),
        (answering(b"what is this\r\n\r\n"), Outcome(error=ErrorKind.PROTOCOL)),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", then="close"), Outcome(error=ErrorKind.TRUNCATED)),
        (reset_it, Outcome(error=ErrorKind.RESET)),
        (hang, Outcome(error=ErrorKind.TIMEOUT)),
    ],
)
async def test_whatever_comes_of_a_probe_is_a_value(behave, outcome):
    async with Peer(behave) as peer:
        assert await probed(peer.port, within=0.2) == outcome


async def test_who_is_not_there_refuses_and_who_takes_no_connection_is_silent(unused_tcp_port):
    assert await probed(unused_tcp_port) == Outcome(error=ErrorKind.CONNECT)
    with full() as port:
        assert await probed(port, within=0.2) == Outcome(error=ErrorKind.CONNECT_TIMEOUT)
    upstream = Upstream()
    assert await upstream.probe("http://nobody.invalid:1/health", 1.0) == Outcome(error=ErrorKind.DNS)
    assert await upstream.probe("http://:1/health", 1.0) == Outcome(error=ErrorKind.PROTOCOL)
    upstream.close()


class Serial:
    """A switch as it is: one thing at a time, and its health waits for the chat before it."""

    def __init__(self, seconds):
        self._free = asyncio.Lock()
        self._seconds = seconds
        self.chats = self.probes = 0

    async def __call__(self, peer, request, writer):
        async with self._free:
            if request.startswith(b"GET /health "):
                self.probes += 1
                writer.write(http(b'{"status":"ok"}'))
            else:
                await asyncio.sleep(self._seconds)
                self.chats += 1
                writer.write(http(b'{"status":"ok","reply":"hola","content":"hola"}'))


class Town:
    """A sidecar's chats and probers in front of real peers, with short turns."""

    def __init__(self, **origins):
        rules = policy(
            health={"mode": "probe", "interval": "50ms", "timeout": "50ms", "jitter": 0.2, "fall": 3, "rise": 2},
            retry={"max_attempts": 1},
            breaker={"consecutive": 0, "min_calls": 20},
        )
        self.upstream = Upstream()
        self.place = Place(rules, self.upstream)
        places = {name: Destination(origin, f"/{name}/chat", LINK_TOKEN) for name, origin in origins.items()}
        self.place.in_force.current = replace(self.place.snapshot, destinations=places)
        self._number = 0
        self._tasks = [asyncio.ensure_future(health.probe(self.place.kitchen, name)) for name in health.PROBED]

    async def close(self):
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
        self.upstream.close()

    async def chat(self):
        self._number += 1
        engine, snapshot = self.place.engine, self.place.in_force.current

        async def ask(step):
            rung = next(rung for rung in engine.scene.ladder if rung.name == step.target)
            question = Question("hi", "s", "c", {})
            return await self.upstream.ask(
                step, rung.target, rung.classify, snapshot.destinations[step.target], question
            )

        plan = engine.begin(time.monotonic(), Call(self._number, 4.75, "c"))
        return await Drive(plan, ask, time.monotonic).run()

    def state(self, target="switch"):
        return self.place.engine.view(time.monotonic())[target]["health"]["state"]


MADRE = answering(http(b'{"status":"DONE","response":"from madre","actions":[]}'))


async def test_a_serial_switch_whose_health_waits_while_it_works_never_goes_down():
    switch = Serial(0.6)  # twelve turns of the prober
    async with Peer(switch) as one, Peer(MADRE) as other:
        town = Town(switch=one.origin, madre=other.origin)
        ends = [await town.chat() for _ in range(3)]
        await until(lambda: town.state() == "up")
        await town.close()
    assert {end.provider for end in ends} == {"switch"}
    assert switch.chats == 3
    silent = [fact for fact in town.place.heard(HealthHeard) if fact.target == "switch" and fact.outcome.error]
    assert len(silent) >= 6
    assert {(fact.outcome.error, fact.busy, fact.verdict) for fact in silent} == {
        (ErrorKind.TIMEOUT, True, Verdict.IGNORED)
    }
    assert all(fact.after != "down" for fact in town.place.heard(HealthMoved) if fact.target == "switch")


async def test_a_dead_switch_goes_down_is_skipped_without_an_attempt_and_comes_back():
    async with Peer(Serial(0.0)) as one, Peer(MADRE) as other:
        origin, port = one.origin, one.port
        town = Town(switch=origin, madre=other.origin)
        assert (await town.chat()).provider == "switch"
        await until(lambda: town.state() == "up")
        one._server.close()
        await until(lambda: town.state() == "down")
        attempts = len(town.place.heard(AttemptStarted))
        ended = await town.chat()
        assert (ended.provider, ended.reason) == ("madre", Reason.UNHEALTHY)
        assert [fact.target for fact in town.place.heard(AttemptStarted)[attempts:]] == ["madre"]
        assert [fact.reason for fact in town.place.heard(Refused)] == [Reason.UNHEALTHY]
        one._server = await asyncio.start_server(one._enter, "127.0.0.1", port)
        await until(lambda: town.state() == "up")
        assert (await town.chat()).provider == "switch"
        await town.close()
    moves = [(fact.after, fact.why) for fact in town.place.heard(HealthMoved) if fact.target == "switch"]
    assert moves == [("up", "recovered"), ("down", "failed"), ("up", "recovered")]
    failed = [
        fact for fact in town.place.heard(HealthHeard) if fact.target == "switch" and fact.verdict is Verdict.FATAL
    ]
    assert len(failed) >= 3
    assert all(fact.finish.provider for fact in town.place.heard(CallEnded))


async def test_a_hung_idle_switch_goes_down_too_and_no_slot_or_permit_was_taken_for_it():
    async with Peer(hang) as one, Peer(MADRE) as other:
        town = Town(switch=one.origin, madre=other.origin)
        await until(lambda: town.state() == "down")
        assert (await town.chat()).provider == "madre"
        assert town.place.engine.traffic("switch") == (0, 0)
        await town.close()
