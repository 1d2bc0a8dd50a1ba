"""What we would have said is what we do say where we answer; and what an answer of the gateway is taken for."""

from __future__ import annotations

import asyncio
import json
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kitchen import Place, policy
from lookout import look, observed
from loopback import CHAT, Gateway, judge, one_answer, post, serving, stage

from sidecar.core.fact import ChatRejected, ChatServed, Gave, RateLimited
from sidecar.core.rate import SlidingWindows
from sidecar.core.value import replace
from sidecar.edge.chat.answering import Answering
from sidecar.edge.chat.observation import Guard, gave
from sidecar.edge.data.witness import Memory
from sidecar.edge.token import Tokens
from sidecar.wire import head, request
from sidecar.wire.target import Routes

RULES = head.rules(Routes(()), pseudonym=b"p", authority=b"a")
SAID = {
    "guards": {"max_body": "2KiB", "max_message_chars": 40, "rate_limit": "3 per 60s", "anonymous_rate_limit": "4 per 60s"},
    "intercept": {"paths": list(CHAT)},
}  # fmt: skip


def guard(**sections):
    return Guard(policy(**sections), judge, SlidingWindows(100))


def asked(*fields, token="right"):
    lines = ["POST /operator/api/chat HTTP/1.1", "Host: h", *fields, *([f"X-VX11-Token: {token}"] if token else [])]
    read = request.read("\r\n".join([*lines, "", ""]).encode(), RULES)
    assert isinstance(read, request.Request)
    return read


# -- as where we answer ---------------------------------------------------------------------------------------------------


def sent(rng: Random) -> bytes:
    """A chat that is right, or wrong in one of the ways that have a word."""
    members = {"message": "m" * rng.choice((1, 40, 41)), "session_id": rng.choice((None, "", "a", "b"))}
    body = rng.choice(
        (
            json.dumps(members).encode(),
            json.dumps(members).encode(),
            json.dumps(members | {"metadata": rng.choice(({}, [1]))}).encode(),
            json.dumps(members | {"message": rng.choice((7, None, "\ud800", "\U0001f600" * 40))}).encode(),
            json.dumps(members | {"more": "x" * rng.choice((10, 3000))}).encode(),
            rng.choice((b"", b"{", b"[]", b"\xff", b'{"message":NaN}', b"\xef\xbb\xbf{}", b"[" * 900)),
        )
    )
    fields = rng.choice(
        ((), (), ("Content-Type: application/json",), ("Content-Type: text/plain",), ("content-type: a/b+json; x",))
    )
    token = rng.choice((b"right",) * 6 + (None, b"wrong", b""))
    path = rng.choice(("/operator/api/chat", "/operator/api/ch%61t?q=1"))
    if rng.random() < 0.3:
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        head_ = post(path, b"", *fields, "Transfer-Encoding: chunked", "Connection: close", token=token)
        return head_.replace(b"Content-Length: 0\r\n", b"") + framed
    return post(path, body, *fields, "Connection: close", token=token)


async def exchange(port, message: bytes) -> None:
    reader, writer = await port.connect()
    writer.write(message)
    await one_answer(reader)
    writer.close()


@pytest.mark.parametrize("seed", range(3))
async def test_we_would_have_said_what_we_do_say(seed):
    place = Place(policy(**SAID))
    place.in_force.current = replace(place.snapshot, tokens=Tokens(["right"]))
    answering = Answering(place.kitchen)
    gateway = Gateway()
    rng = Random(seed)
    wire = [sent(rng) for _ in range(150)]
    async with serving(gateway) as upstream, stage(upstream, chat=answering.answer, max_body=2048) as port:
        for message in wire:
            await exchange(port, message)
        facts = sorted((*port.facts, *place.facts), key=lambda fact: fact.at)
        said = [words(fact) for fact in facts if isinstance(fact, ChatServed | ChatRejected)]
        port.facts.clear()
        look(port, Memory(), "shadow", **SAID)
        for message in wire:
            await exchange(port, message)
        would = [fact.would for fact in observed(port)]
    assert would == said
    assert len(gateway.done) == len(wire)
    assert len({*would}) == 7


def words(fact: ChatServed | ChatRejected) -> str:
    return "pass" if isinstance(fact, ChatServed) else fact.reason


async def test_who_was_counted_while_we_looked_is_not_counted_when_we_answer():
    place = Place(policy(**SAID))
    memory = Memory()
    async with serving(Gateway()) as upstream, stage(upstream) as port:
        look(port, memory, "shadow", **SAID)
        for _ in range(5):
            await exchange(port, post("/operator/api/chat", b'{"message":"m","session_id":"s"}', "Connection: close"))
        assert [fact.would for fact in observed(port)] == ["pass"] * 3 + ["rate_limited"] * 2
        assert not [fact for fact in port.facts if isinstance(fact, RateLimited)]
        look(port, memory, "shadow", **SAID)  # another policy of the same kind
        await exchange(port, post("/operator/api/chat", b'{"message":"m","session_id":"s"}', "Connection: close"))
        assert observed(port)[-1].would == "rate_limited"
    assert place.engine.admit(0.0, b"s", anonymous=False) is None
    await asyncio.sleep(0)


# -- the guard by itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "fields", "token", "word"),
    [
        ("chat", (), "right", None),
        ("chat", (), "", "auth_required"),
        ("chat", (), "wrong", "forbidden"),
        ("chat", ("Content-Length: 65536",), "right", None),
        ("chat", ("Content-Length: 65537",), "right", "too_large"),
        ("chat", ("Content-Length: 65537",), "wrong", "forbidden"),
        ("alias", ("Content-Length: 65537",), "right", "pass"),
        ("commands", (), "", "auth_required"),
        ("alias", (), "wrong", "forbidden"),
        ("reject", (), "right", "target"),
    ],
)
def test_what_the_head_decides(route, fields, token, word):
    assert guard().of_head(asked(*fields, token=token), route) == word


def test_peers_and_sessions_are_counted_apart():
    looking = guard(guards={"rate_limit": "1 per 60s", "anonymous_rate_limit": "2 per 60s"})

    def said(body, peer="p"):
        return looking.of_body(1.0, json.dumps({"message": "m", **body}).encode(), asked(), peer)

    assert [said({"session_id": "s"}), said({"session_id": "s"}), said({"session_id": "t"})] == [
        "pass",
        "rate_limited",
        "pass",
    ]
    assert [said({}), said({"session_id": ""}), said({}), said({}, "q")] == ["pass", "pass", "rate_limited", "pass"]
    assert all(len(key) == 16 for key in looking.windows._admitted)


@pytest.mark.parametrize(
    ("sent_", "seconds"), [((), 4.75), (("x-request-timeout-ms: 1200",), 0.95), (("X-Request-Timeout-Ms: 7000",), 4.75), (("X-Request-Timeout-Ms: soon",), 4.75)]
)  # fmt: skip
def test_patience_is_what_it_is_where_we_answer(sent_, seconds):
    assert guard().patience(asked(*sent_)) == seconds


# -- what the gateway gave ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"response": "x", "degraded": True}, "degraded"),
        ({"response": "x", "degraded": False}, "answered"),
        ({"degraded": False}, "answered"),
        ({"response": "x"}, "answered"),
        ({"response": "x", "degraded": "yes"}, "answered"),
        ({"response": "x", "degraded": False, "fallback_source": "local_llm_degraded"}, "degraded"),
        ({"response": "x", "model": "local_llm_degraded"}, "degraded"),
        ({"response": "x", "provider": "fallback_local", "status": "ok"}, "degraded"),
        ({"response": "x", "provider": ["fallback_local"], "model": {}}, "answered"),
        ({"response": 7}, "unreadable"),
        ({"ok": True}, "unreadable"),
        ([], "unreadable"),
        ("degraded", "unreadable"),
        (None, "unreadable"),
    ],
)
def test_an_answer_says_whether_anybody_answered(body, word):
    assert gave(200, orjson.dumps(body)) == word


@given(
    st.integers(100, 999),
    st.none() | st.binary(max_size=40) | st.sampled_from([b"{}", b'{"degraded":true}', b"[" * 2000]),
)
def test_whatever_came_is_one_of_the_words(status, content):
    said = gave(status, content)
    assert said in Gave.__args__
    if content is None:
        assert said == {4: "rejected", 5: "error"}.get(status // 100, "unreadable")
