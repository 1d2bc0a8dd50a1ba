"""Every fault over real sockets: what the client gets, whether the target was asked, and that the reader of answers would say the same."""

from __future__ import annotations

import asyncio
import json

import pytest
from kitchen import TOKEN, Peer, Place, answering, http, policy, until
from test_answering import incoming

from sidecar.core.chaos import SPOILED, Armed
from sidecar.core.classify import Classifier
from sidecar.core.fact import AttemptEnded, AttemptStarted, CallEnded, FaultInjected
from sidecar.core.value import replace
from sidecar.core.vocabulary import Attempt, Binding
from sidecar.edge.chaos import Quiet
from sidecar.edge.chat.answering import Answering
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.exchange import LARGEST_ANSWER
from sidecar.edge.chat.injection import Injection
from sidecar.edge.chat.upstream import Asked, Upstream
from sidecar.edge.snapshot import Destination
from sidecar.policy.model import Policy

GOOD = http(json.dumps({"status": "ok", "reply": "hola", "engine_used": "general-7b"}).encode())
BODIES = {
    "invalid-json": b'{"status": "ok", ',
    "empty": b"",
    "not-object": b"[]",
    "no-text": b"{}",
    "status-error": b'{"status": "error"}',
    "huge": b" " * (LARGEST_ANSWER + 1),
}


class Street:
    """A switch that answers well, a madre that is not there, and rules in force."""

    def __init__(self, *rules, until=float("inf"), **sections):
        needed = {"name": "a", "target": "switch", "percentage": "100%", "expires_at": "2030-01-31T18:00:00Z"}
        self.policy = policy(chaos=[{**needed, **rule} for rule in rules], **sections)
        self.chaos = Quiet(tuple(Armed(rule, index, until) for index, rule in enumerate(self.policy.chaos)))

    async def __aenter__(self):
        self.switch = await Peer(answering(GOOD)).__aenter__()
        self.upstream = Upstream()
        self.place = place = Place(self.policy, self.upstream)
        origin = {"switch": self.switch.origin, "madre": "http://127.0.0.1:9"}
        destinations = {name: Destination(origin[name], "/", None) for name in origin}
        place.in_force.current = replace(place.snapshot, destinations=destinations)
        place.kitchen = replace(place.kitchen, chaos=self.chaos)
        self.chats = Answering(place.kitchen)
        return self

    async def __aexit__(self, *_):
        await self.chats.close()
        self.upstream.close()
        await self.switch.__aexit__(None, None, None)

    async def chat(self, *headers):
        fields = [("X-VX11-Token", TOKEN), ("Content-Type", "application/json"), *headers]
        said = await self.chats.answer(incoming(self.place, b'{"message": "hi"}', fields))
        return json.loads(said.body)

    @property
    def faults(self):
        return [(fact.number, fact.fault, fact.rule) for fact in self.place.heard(FaultInjected)]

    @property
    def first(self):
        """How the first attempt ended."""
        return self.place.heard(AttemptEnded)[0]


@pytest.mark.parametrize(("word", "asked"), [("connect", 2), ("dns", 2), ("reset", 1), (503, 1), (401, 1)])
async def test_an_aborted_attempt_never_reaches_the_target_and_is_retried_only_if_that_is_known(word, asked):
    async with Street({"abort": word}) as street:
        body = await street.chat()
        assert (body["provider"], body["degraded"]) == ("local", True)
        assert street.switch.requests == []
        assert street.faults == [(number, "abort", "a") for number in range(1, asked + 1)]
        outcome = street.first.outcome
        assert (outcome.error or outcome.status) == word
        assert street.first.seconds < 0.2


async def test_an_abort_that_stands_for_silence_takes_as_long():
    timeouts = {"connect": "60ms", "attempt": "150ms"}
    async with Street({"abort": "connect-timeout"}, timeouts=timeouts) as street:
        await street.chat()
        assert street.first.outcome.error == "connect-timeout"
        assert 0.06 <= street.first.seconds < 0.15
    async with Street({"abort": "timeout"}, timeouts=timeouts) as street:
        await street.chat()
        assert street.first.outcome.error == "timeout"
        assert street.first.seconds >= 0.15
        assert [fact.target for fact in street.place.heard(AttemptStarted)] == [
            "switch",
            "madre",
            "madre",
        ]  # never asked again


async def test_a_delay_is_within_the_timeout_of_the_attempt():
    async with Street({"delay": "80ms"}) as street:
        body = await street.chat()
        assert (body["provider"], body["degraded"]) == ("switch", False)
        assert street.faults == [(1, "delay", "a")]
        assert 0.08 <= street.first.seconds < 1
        assert len(street.switch.requests) == 1
    async with Street({"delay": "200ms"}, timeouts={"attempt": "100ms"}) as street:
        body = await street.chat()
        assert street.first.outcome.error == "timeout"
        assert 0.1 <= street.first.seconds < 0.2
        assert street.switch.requests == []
        assert street.faults == [(1, "delay", "a")]


async def test_a_target_gets_only_what_a_delay_leaves():
    async with Street({"delay": "100ms"}, timeouts={"attempt": "250ms"}) as street:
        street.switch._behave = lambda peer, request, writer: peer.gone.wait()
        await street.chat()
        assert street.first.outcome.error == "timeout"
        assert 0.25 <= street.first.seconds < 0.35
        assert len(street.switch.requests) == 1


@pytest.mark.parametrize("fault", [{"body": word} for word in SPOILED] + [{"cut": True}], ids=str)
async def test_a_spoiled_answer_was_asked_for_and_is_a_failure(fault):
    async with Street(fault) as street:
        body = await street.chat()
        assert body["provider"] == "local"
        assert len(street.switch.requests) == 1
        assert street.faults == [(1, next(iter(fault)), "a")]
        assert street.first.verdict == "fatal"


@pytest.mark.parametrize("word", SPOILED)
async def test_the_reader_of_answers_says_the_same_of_such_a_body(word):
    target = Policy().ladder[0]
    async with Peer(answering(http(BODIES[word]))) as peer:
        upstream = Upstream()
        step = Attempt("switch", 1, 5.0, 1.0, Binding.ATTEMPT)
        asked = await upstream.ask(
            step, target, Classifier(target), Destination(peer.origin, "/", None), Question("hi", "s", "c", {})
        )
        upstream.close()
    assert asked == Asked(SPOILED[word], None)


async def test_an_attempt_that_fails_by_itself_is_not_said_to_be_broken():
    async with Street({"body": "empty", "target": "madre"}) as street:
        street.switch._behave = answering(http(b"{}", "500 Internal Server Error"))
        await street.chat()
        assert street.faults == []
        assert [fact.outcome.error for fact in street.place.heard(AttemptEnded)][1:] == ["connect", "connect"]


async def test_a_header_breaks_only_the_chats_that_carry_it():
    async with Street({"abort": 503, "header": {"x-chaos": "break-me"}}) as street:
        for headers in ([], [("X-Chaos", "break")], [("X-Chaos", "break-me-too")], [("X-Other", "break-me")]):
            assert (await street.chat(*headers))["provider"] == "switch"
        assert (await street.chat(("X-Chaos", "break-me")))["provider"] == "local"
        assert len(street.faults) == 1
        assert not any(
            b"x-chaos" in request.lower() for request in street.switch.requests
        )  # nor does it go on to a target


async def test_nothing_is_made_where_nothing_is_in_force(monkeypatch):
    monkeypatch.setattr(Injection, "__init__", None)
    async with Street() as street:
        assert (await street.chat())["provider"] == "switch"
    async with Street({"abort": 503}) as street:
        street.place.kitchen = replace(street.place.kitchen, chaos=Quiet())
        assert (await Answering(street.place.kitchen).answer(
            incoming(street.place, b'{"message": "hi"}', [("X-VX11-Token", TOKEN)])
        )).status == 200  # fmt: skip
        assert street.faults == []


async def test_a_stop_holds_for_the_next_attempt_of_a_chat_under_way():
    class Switchable:
        live: tuple = ()

    live = Switchable()
    async with Street({"abort": "connect", "target": "any"}) as street:
        live.live = street.chaos.live
        street.place.kitchen = replace(street.place.kitchen, chaos=live)
        emit = street.place.facts.append

        def stopping(fact):
            emit(fact)
            if isinstance(fact, FaultInjected):
                live.live = ()

        street.place.kitchen = replace(street.place.kitchen, emit=stopping)
        fields = [("X-VX11-Token", TOKEN), ("Content-Type", "application/json")]
        said = await Answering(street.place.kitchen).answer(incoming(street.place, b'{"message": "hi"}', fields))
        assert json.loads(said.body)["provider"] == "switch"  # its retry met nothing
        assert street.faults == [(1, "abort", "a")]


async def test_a_client_that_leaves_in_a_delay_leaves_nothing_behind():
    async with Street({"delay": "30s"}, deadline={"client": "60s"}) as street:
        done = asyncio.get_running_loop().create_future()
        asked = incoming(street.place, b'{"message": "hi"}', [("X-VX11-Token", TOKEN)])
        task = street.chats.begin(asked, done.set_result)
        await until(lambda: street.faults)
        task.cancel()
        await task.ended()
        (ended,) = street.place.heard(CallEnded)
        assert ended.finish.abandoned
        assert street.place.engine.gauges(0.0)["switch"].in_flight == 0
        assert street.switch.requests == []


async def test_the_facts_of_a_broken_attempt_stand_between_its_begin_and_its_end():
    async with Street({"delay": "10ms", "cut": True}) as street:
        await street.chat()
        kinds = [type(fact).__name__ for fact in street.place.facts if getattr(fact, "number", None) == 1]
        assert kinds == ["AttemptStarted", "FaultInjected", "FaultInjected", "AttemptEnded"]
        assert [fault for _, fault, _ in street.faults] == ["delay", "cut"]
        assert replace(street.place.heard(FaultInjected)[0], at=0.0) == FaultInjected(0.0, 1, "switch", 1, "delay", "a")
