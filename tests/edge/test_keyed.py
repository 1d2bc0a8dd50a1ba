"""Chats with keys as the door meets the answerer: who is answered, who is told to wait, who is refused, and when a key is free again."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from kitchen import TOKEN, Place, Targets, failed, policy, said, until

from sidecar.core.fact import CallBegan, ChatRejected, ChatReplayed, ChatServed, KeySent, KeyUsed
from sidecar.core.idempotency import AROUND, Held
from sidecar.core.value import replace
from sidecar.core.vocabulary import ErrorKind
from sidecar.edge.chat import reply
from sidecar.edge.chat.answering import Answering
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.reply import Reply
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.token import Open, Tokens
from sidecar.policy.model import Policy
from sidecar.wire import head, request
from sidecar.wire.target import Routes

RULES = head.rules(Routes(("/operator/api/chat", "/operator/api/v1/chat")), pseudonym=b"p", authority=b"a")
ROOM = Path(reply.__file__).parent
ON = {"idempotency": {"mode": "on"}}
OTHER_TOKEN = "the token of somebody else"
ORIGIN = "http://localhost:3000"


class Counter:
    """Answers chats of one place. What is sent is a good chat in one session under the key k unless told otherwise."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.answering = Answering(place.kitchen)
        place.in_force.current = replace(place.snapshot, tokens=Tokens([TOKEN, OTHER_TOKEN]))

    def begin(
        self, *, key: str | None = "k", token: str = TOKEN, path: str = "/operator/api/chat", peer: str = "127.0.0.1",
        headers: tuple[str, ...] = (), **body: Any,
    ) -> tuple[asyncio.Task[None], asyncio.Future[Reply]]:  # fmt: skip
        content = json.dumps({"message": "hi", "session_id": "s-1", **body}).encode()
        fields = [f"Content-Length: {len(content)}", f"X-VX11-Token: {token}", *headers]
        fields += [] if key is None else [f"Idempotency-Key: {key}"]
        read = request.read("\r\n".join([f"POST {path} HTTP/1.1", "Host: h", *fields, "", ""]).encode(), RULES)
        assert isinstance(read, request.Request)
        got: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        return self.answering.begin(Incoming(read, content, peer, self.place.kitchen.now()), got.set_result), got

    async def post(self, **asked: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
        answer = await self.begin(**asked)[1]
        return answer.status, json.loads(answer.body), dict(answer.fields)

    def adopt(self, rules: Policy) -> None:
        self.place.in_force.current = replace(self.place.in_force.current, policy=rules)
        self.answering.adopt()

    @property
    def asked(self) -> int:
        return len(self.place.targets.asked)

    def uses(self) -> list[str]:
        return [fact.use for fact in self.place.heard(KeyUsed)]


def counter(behind: Any = None, /, **stated: Any) -> Counter:
    return Counter(Place(policy(**{**ON, **stated}), behind))


def slow() -> tuple[Targets, asyncio.Event]:
    """A switch that answers when it is told to."""
    go = asyncio.Event()

    async def answer(_: Any) -> Any:
        await go.wait()
        return said("at last")

    return Targets(switch=[answer]), go


# -- again ----------------------------------------------------------------------------------------------------------------


async def test_a_chat_that_is_sent_again_gets_the_same_answer_and_nobody_is_asked_again():
    desk = counter()
    status, body, fields = await desk.post(headers=("X-Correlation-Id: first",))
    assert (status, body["response"], body["provider"]) == (200, "hola", "switch")
    assert "Idempotent-Replayed" not in fields
    again, same, marked = await desk.post(headers=("X-Correlation-Id: second", f"Origin: {ORIGIN}"))
    assert (again, same) == (200, body)
    assert same["correlation_id"] == "first"
    assert marked["Idempotent-Replayed"] == "true"
    assert marked["X-Correlation-Id"] == "second"
    assert marked["Access-Control-Allow-Origin"] == ORIGIN
    assert "Idempotent-Replayed" in marked["Access-Control-Expose-Headers"]
    assert "Server-Timing" in fields
    assert "Server-Timing" not in marked
    assert desk.asked == 1
    assert len(desk.place.heard(CallBegan, ChatServed)) == 2
    (fact,) = desk.place.heard(ChatReplayed)
    assert (fact.correlation_id, fact.first, fact.status) == ("second", "first", 200)
    assert desk.uses() == ["claimed", "kept"]


async def test_the_id_of_a_repetition_may_be_in_its_body():
    desk = counter()
    await desk.post()
    *_, fields = await desk.post(correlation_id="mine")
    assert fields["X-Correlation-Id"] == "mine"


async def test_both_spellings_of_the_route_are_one_as_the_ui_repeats_a_chat_to_the_other():
    desk = counter()
    await desk.post(path="/operator/api/v1/chat")
    *_, fields = await desk.post(path="/operator/api/chat")
    assert fields["Idempotent-Replayed"] == "true"
    assert desk.asked == 1


async def test_a_chat_without_a_session_is_the_same_again_and_stays_in_the_session_it_was_given():
    desk = counter()
    first = (await desk.post(session_id=None))[1]
    again = (await desk.post(session_id=None))[1]
    assert again["session_id"] == first["session_id"]
    assert desk.asked == 1


@pytest.mark.parametrize("key", [None, "other"])
async def test_without_a_key_and_under_another_the_same_words_are_another_chat(key):
    desk = counter()
    await desk.post()
    await desk.post(key=key)
    assert desk.asked == 2


async def test_nothing_of_it_happens_where_the_policy_does_not_say_so():
    desk = counter(idempotency={"mode": "off"})
    for _ in range(2):
        status, _, fields = await desk.post()
        assert status == 200
        assert "Idempotent-Replayed" not in fields
    assert (await desk.post(key="\x80"))[0] == 200
    assert desk.asked == 3
    assert desk.answering.keys() is None
    assert not desk.place.heard(KeyUsed, KeySent, ChatReplayed)


# -- while it runs ------------------------------------------------------------------------------------------------------


async def test_of_twenty_five_at_once_one_is_carried_out_and_the_others_are_told_when_to_come_back():
    targets, go = slow()
    desk = counter(targets)
    first, *others = [desk.begin(headers=(f"X-Correlation-Id: c-{n}",))[1] for n in range(25)]
    for number, other in enumerate(others, 1):
        answer = await other
        body, cid = json.loads(answer.body), f"c-{number}"
        words = "A chat with this Idempotency-Key is still being answered"
        assert answer.status == 409
        assert body == {"detail": words, "error": words, "retry_after": 5, "correlation_id": cid}
        assert (answer.fields["Retry-After"], answer.fields["X-Correlation-Id"]) == ("5", cid)
    go.set()
    answer = await first
    assert (answer.status, json.loads(answer.body)["response"]) == (200, "at last")
    assert desk.asked == 1
    assert [fact.reason for fact in desk.place.heard(ChatRejected)] == ["key_running"] * 24
    assert [(await desk.post())[2].get("Idempotent-Replayed") for _ in range(5)] == ["true"] * 5


async def test_when_to_come_back_is_when_the_first_must_have_been_answered():
    targets, go = slow()
    desk = counter(targets)
    first = desk.begin(headers=("X-Request-Timeout-Ms: 2400",))[1]
    await until(lambda: desk.asked)
    body = (await desk.post())[1]
    assert body["retry_after"] == 3  # 2.15 s, rounded up
    go.set()
    await first


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("other", [{"message": "ho"}, {"session_id": "s-2"}, {"metadata": {"a": 1}}], ids=str)
async def test_something_else_under_the_same_key_is_a_422_and_gets_nobodys_answer(other, running):
    targets, go = slow()
    desk = counter(targets)
    first = desk.begin()[1]
    if running:
        await until(lambda: desk.asked)
    else:
        go.set()
        await first
    status, body, fields = await desk.post(**other)
    assert status == 422
    words = "This Idempotency-Key was sent with another message, session or metadata before"
    problem = {"type": "idempotency_key_reused", "loc": ["header", "idempotency-key"], "msg": words, "input": None}
    assert body == {"detail": [problem], "correlation_id": fields["X-Correlation-Id"]}
    assert desk.place.heard(ChatRejected)[0].reason == "key_mismatch"
    assert desk.asked == 1
    go.set()
    await first


# -- whose key it is ----------------------------------------------------------------------------------------------------


async def test_nobody_gets_an_answer_or_learns_of_a_key_of_somebody_with_another_token():
    desk = counter()
    await desk.post()
    status, _, fields = await desk.post(token=OTHER_TOKEN)
    assert status == 200
    assert "Idempotent-Replayed" not in fields
    assert (await desk.post(token=OTHER_TOKEN, message="else"))[0] == 422
    assert (await desk.post())[2]["Idempotent-Replayed"] == "true"
    assert desk.asked == 2


async def test_without_authentication_a_key_is_that_of_an_address():
    desk = counter()
    desk.place.in_force.current = replace(desk.place.snapshot, tokens=Open())
    for peer, asked in (("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.1", 2)):
        await desk.post(peer=peer)
        assert desk.asked == asked


# -- what is refused before, and what it costs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        ({"token": "wrong"}, 403),
        ({"message": 7}, 422),
        ({"message": "x" * 4001}, 413),
    ],
    ids=["token", "body", "length"],
)
async def test_what_is_refused_before_claims_no_key(refused, status):
    desk = counter()
    assert (await desk.post(**refused))[0] == status
    assert desk.answering.keys() == Held(0, 0, 0)
    assert not desk.uses()
    assert (await desk.post())[0] == 200


async def test_a_chat_that_its_sessions_rate_refuses_claims_no_key_and_drives_no_answer_out():
    desk = counter(guards={"rate_limit": "1 per 60s"}, idempotency={"mode": "on", "max": 1})
    await desk.post()
    assert (await desk.post(key="second"))[0] == 429
    assert desk.answering.keys()[:2] == (0, 1)
    assert desk.place.heard(ChatRejected)[0].reason == "rate_limited"


async def test_repetitions_do_not_count_for_the_session_and_have_a_bound_of_their_own():
    desk = counter(guards={"rate_limit": "2 per 60s"}, idempotency={"mode": "on", "repeats": "3 per 60s"})
    assert [(await desk.post())[0] for _ in range(4)] == [200] * 4
    status, body, fields = await desk.post()
    assert status == 429
    assert (body["error"], body["session_id"]) == ("Rate limit exceeded (3 per 60s)", "s-1")
    assert 58 <= int(fields["Retry-After"]) <= 60
    assert desk.place.heard(ChatRejected)[0].reason == "key_repeated"
    assert [(await desk.post(key=key))[0] for key in ("second", "third")] == [200, 429]
    assert desk.asked == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00f1", "a\tb"])
async def test_what_is_no_key_is_a_400(key):
    desk = counter()
    status, body, fields = await desk.post(key=key)
    words = "An Idempotency-Key is one header field of 1 to 255 printable ASCII characters"
    assert (status, body) == (400, {"detail": words, "error": words, "correlation_id": fields["X-Correlation-Id"]})
    assert desk.place.heard(ChatRejected)[0].reason == "key_invalid"
    assert not desk.asked


async def test_a_key_that_is_sent_twice_is_none_of_the_two():
    desk = counter()
    assert (await desk.post(headers=("Idempotency-Key: k",)))[0] == 400


# -- when it is free again ----------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_frees_its_key_and_is_carried_out_when_it_comes_back():
    targets, go = slow()
    desk = counter(targets)
    task, _ = desk.begin()
    await until(lambda: desk.asked)
    task.cancel()
    await until(task.done)
    assert desk.answering.keys() == Held(0, 0, 0)
    assert desk.uses() == ["claimed", "freed"]
    go.set()
    assert (await desk.post())[1]["response"] == "at last"
    assert desk.asked == 2


@pytest.mark.parametrize(
    ("stated", "status"),
    [({"fallback": {"local": "error"}}, 503), ({}, 200), ({"reply": {"shape": "reference"}}, 200), ({"reply": {"shape": "stub"}}, 200)],
    ids=["an error", "degraded", "degraded, eight fields", "degraded, as the stub had it"],
)  # fmt: skip
async def test_an_error_of_ours_and_a_degraded_answer_are_not_kept(stated, status):
    desk = counter(Targets(switch=[failed(ErrorKind.CONNECT)] * 2 + [said()]), **stated)
    assert (await desk.post())[0] == status
    assert desk.uses() == ["claimed", "freed"]
    again, _, fields = await desk.post()
    assert again == 200
    assert "Proxy-Status" not in fields
    assert desk.uses() == ["claimed", "freed", "claimed", "kept"]


async def test_a_crash_frees_the_key():
    desk = counter(Targets(switch=[RuntimeError("of the test"), said()]))
    assert [(await desk.post())[0] for _ in range(2)] == [500, 200]
    assert desk.uses() == ["claimed", "freed", "claimed", "kept"]


async def test_a_degraded_answer_is_kept_as_long_as_the_policy_says():
    desk = counter(Targets(madre=[said("from madre")]), idempotency={"mode": "on", "degraded_ttl": "10s"})
    _, body, fields = await desk.post()
    asked = desk.asked
    _, same, marked = await desk.post()
    assert (same, desk.asked) == (body, asked)
    assert marked["Proxy-Status"] == fields["Proxy-Status"]
    assert body["degraded"] is True


async def test_what_finds_no_room_is_answered_and_not_remembered():
    targets, go = slow()
    desk = counter(targets, idempotency={"mode": "on", "max": 1})
    one, two = (desk.begin(key=key)[1] for key in ("one", "two"))
    await until(lambda: desk.asked == 2)
    assert desk.uses() == ["claimed", "full"]
    go.set()
    assert [(await each).status for each in (one, two)] == [200, 200]
    assert desk.answering.keys()[:2] == (0, 1)
    await desk.post(key="three")
    assert desk.uses() == ["claimed", "full", "kept", "claimed", "kept", "evicted"]


async def test_what_is_kept_is_counted_in_bytes():
    desk = counter()
    await desk.post()
    held = desk.answering.keys()
    assert held[:2] == (0, 1)
    assert AROUND + 250 < held.size < AROUND + 500


async def test_what_is_kept_takes_no_more_room_than_it_has_bytes():
    desk = counter()
    tracemalloc.start()
    for number in range(20):
        await desk.post(key=f"k-{number}", session_id=f"s-{number}")
    lasting = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, str(ROOM / "*"))])
    tracemalloc.stop()
    assert desk.answering.keys().kept == 20
    assert len([trace for trace in lasting.traces if trace.size > 2_000]) < 3  # what the last exchange left


# -- another policy -----------------------------------------------------------------------------------------------------


async def test_a_policy_that_is_adopted_remembers_from_then_on_and_forgets_when_it_is_switched_off():
    desk = counter(idempotency={"mode": "off"})
    await desk.post()
    desk.adopt(policy(**ON))
    assert [(await desk.post())[2].get("Idempotent-Replayed") for _ in range(2)] == [None, "true"]
    desk.adopt(policy(idempotency={"mode": "on", "header": "x-once", "ttl": "1m"}))
    assert (await desk.post(key=None, headers=("X-Once: k",)))[2]["Idempotent-Replayed"] == "true"
    desk.adopt(policy())
    assert "Idempotent-Replayed" not in (await desk.post())[2]
    desk.adopt(policy(**ON))
    assert "Idempotent-Replayed" not in (await desk.post())[2]


async def test_a_chat_under_way_ends_well_when_its_policy_is_switched_off():
    targets, go = slow()
    desk = counter(targets)
    got = desk.begin()[1]
    await until(lambda: desk.asked)
    desk.adopt(policy())
    go.set()
    assert (await got).status == 200
    desk.adopt(policy(**ON))
    assert desk.answering.keys() == Held(0, 0, 0)


# -- what targets get ---------------------------------------------------------------------------------------------------


def honouring(desk: Counter, *names: str) -> None:
    """These targets honour keys."""
    current = desk.place.in_force.current
    places = {name: replace(place, dedup=name in names) for name, place in current.destinations.items()}
    desk.place.in_force.current = replace(current, destinations=places)


@pytest.mark.parametrize("mode", ["on", "off"])
async def test_a_target_that_honours_keys_gets_one_with_every_attempt_and_another_gets_none(mode):
    targets = Targets(switch=[failed(), said()], madre=[said()])
    desk = counter(
        targets, idempotency={"mode": mode}, targets=[{"name": "switch", "effects": "dedup"}, {"name": "madre"}]
    )
    honouring(desk, "switch")
    await desk.post()
    sent = [(step.target, question.key) for step, *_, question in targets.asked]
    assert [target for target, _ in sent] == ["switch", "switch"]
    assert len(sent[0][1]) == 64
    assert sent[0] == sent[1]
    assert "k" not in sent[0][1]
    assert [(fact.target, fact.made) for fact in desk.place.heard(KeySent)] == [("switch", False)]
    await desk.post(key=None)
    assert targets.asked[-1][-1].key not in ("", sent[0][1])
    assert [fact.made for fact in desk.place.heard(KeySent)] == [False, True]


async def test_a_target_without_that_gets_none_though_another_does():
    targets = Targets(switch=[failed(ErrorKind.CONNECT)], madre=[said()])
    desk = counter(targets)
    honouring(desk, "madre")
    await desk.post()
    keys = {step.target: question.key for step, *_, question in targets.asked}
    assert keys["switch"] == ""
    assert len(keys["madre"]) == 64


# -- what is told -------------------------------------------------------------------------------------------------------


async def test_metrics_tell_what_became_of_keys_and_how_much_is_held():
    targets, go = slow()
    desk = counter(targets)
    honouring(desk, "switch")
    telemetry = Telemetry(lambda: 0.0)
    telemetry.watch_keys(desk.answering.keys)
    first = desk.begin()[1]
    await until(lambda: desk.asked)
    await desk.post()
    await desk.post(message="else")
    await desk.post(key="")
    registry = telemetry.registry
    assert registry.get_sample_value("vx11_sidecar_idempotency_remembered", {"state": "running"}) == 1
    go.set()
    await first
    await desk.post()
    for fact in desk.place.facts:
        telemetry(fact)
    results = ("claimed", "kept", "replayed", "running", "mismatch", "invalid", "repeated", "full", "freed", "evicted")
    name = "vx11_sidecar_idempotency_keys_total"
    assert [registry.get_sample_value(name, {"result": result}) for result in results] == [1] * 6 + [0] * 4
    sent = "vx11_sidecar_idempotency_keys_sent_total"
    assert registry.get_sample_value(sent, {"target": "switch", "origin": "client"}) == 1
    assert registry.get_sample_value("vx11_sidecar_idempotency_remembered", {"state": "kept"}) == 1
    assert registry.get_sample_value("vx11_sidecar_idempotency_bytes") == desk.answering.keys().size
    replayed = {"outcome": "replayed", "code": "200"}
    assert registry.get_sample_value("vx11_sidecar_chat_requests_total", replayed) == 1
    assert registry.get_sample_value("vx11_sidecar_chat_requests_total", {"outcome": "rejected", "code": "409"}) == 1
    used = {"route": "/operator/api/chat"}
    assert registry.get_sample_value("vx11_sidecar_usage_requests_total", used) == 5
    desk.adopt(policy())
    assert registry.get_sample_value("vx11_sidecar_idempotency_bytes") == 0


async def test_no_fact_holds_a_key_a_session_or_a_message():
    desk = counter()
    honouring(desk, "switch")
    for _ in range(2):
        await desk.post(key="the-clients-key", session_id="the-session", message="the message")
    await desk.post(key="the-clients-key", message="another message")
    told = repr(desk.place.facts)
    assert desk.place.heard(KeySent, ChatReplayed)
    for secret in (
        "the-clients-key",
        "the-session",
        "the message",
        "another message",
        desk.place.targets.asked[0][-1].key,
    ):
        assert secret not in told
