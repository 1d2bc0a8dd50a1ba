"""Keys as clients send them, whose they are, and the digests that stand for them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kitchen import TOKEN, Place, policy

from sidecar.core.fact import KeySent
from sidecar.core.value import replace
from sidecar.edge.chat import key
from sidecar.edge.chat.contract import Question
from sidecar.edge.chat.incoming import Incoming
from sidecar.edge.chat.request import Chat, Invalid, read_chat
from sidecar.edge.snapshot import Snapshot
from sidecar.edge.token import Open, Tokens
from sidecar.wire import head, request
from sidecar.wire.target import Routes

RULES = head.rules(Routes(("/operator/api/chat",)), pseudonym=b"p", authority=b"a")
QUESTION = Question("hi", "s-1", "c-1", {})


def incoming(*fields: str, token: str | None = TOKEN, peer: str = "10.0.0.1") -> Incoming:
    lines = ["POST /operator/api/chat HTTP/1.1", "Host: h", *fields, *([f"X-VX11-Token: {token}"] if token else [])]
    read = request.read("\r\n".join([*lines, "", ""]).encode("latin-1"), RULES)
    assert isinstance(read, request.Request)
    return Incoming(read, b"", peer, 0.0)


def snapshot(tokens: Tokens, **stated) -> Snapshot:
    return replace(Place(policy(**stated)).snapshot, tokens=tokens)


KNOWN, OPEN = snapshot(Tokens([TOKEN])), snapshot(Open())


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([b"8e03978e-40d5-43e8-bc93-6894a57f9324"], b"8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ([b'"8e03978e"'], b'"8e03978e"'),
        ([b"a b"], b"a b"),
        ([b"x"], b"x"),
        ([b"x" * 255], b"x" * 255),
        ([b"x" * 256], None),
        ([b""], None),
        ([b"a\tb"], None),
        ([b"a\x7fb"], None),
        ([b"a\xc3\xb1b"], None),
        ([b"a", b"a"], None),
    ],
)
def test_what_a_key_may_be(values, wanted):
    assert key.sent(values) == wanted


def test_a_key_is_read_in_any_spelling_of_its_name_without_the_blanks_around_it_and_every_time_it_was_sent():
    asked = incoming("IDEMPOTENCY-key: \t a b \t", "idempotency-Key:c", "X-Idempotency-Key: no", "Idempotency-Keys: no")
    assert asked.keys("idempotency-key") == [b"a b", b"c"]
    assert asked.keys("x.idempotency-key") == []
    assert incoming().keys("idempotency-key") == []


def test_a_key_belongs_to_whoever_presents_a_token_wherever_that_comes_from():
    assert key.whose(incoming(), KNOWN) == key.whose(incoming(peer="10.0.0.2"), KNOWN)
    assert key.whose(incoming(), KNOWN) != key.whose(incoming(token="other"), KNOWN)


def test_without_authentication_it_belongs_to_an_address_whatever_token_is_sent():
    assert (
        key.whose(incoming(), OPEN)
        == key.whose(incoming(token=None), OPEN)
        != key.whose(incoming(peer="10.0.0.2"), OPEN)
    )
    assert key.whose(incoming(token="10.0.0.1"), KNOWN) != key.whose(incoming(), OPEN)


def chat(body: str) -> Chat:
    read = read_chat(body.encode(), None)
    assert not isinstance(read, Invalid)
    return read


def same(one: str, other: str) -> bool:
    return key.remembered(b"k", b"me", chat(one)).body == key.remembered(b"k", b"me", chat(other)).body


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ('{"message":"hi"}', '{ "message": "\\u0068i" }', True),
        ('{"message":"hi"}', '{"message":"hi","session_id":null,"metadata":{}}', True),
        ('{"message":"hi"}', '{"message":"hi","session_id":""}', True),
        ('{"message":"hi","correlation_id":"a"}', '{"message":"hi","correlation_id":"b"}', True),
        ('{"message":"hi","unknown":1}', '{"message":"hi"}', True),
        ('{"message":"hi","metadata":{"a":1,"b":[2]}}', '{"metadata":{"b":[2],"a":1},"message":"hi"}', True),
        ('{"message":"hi"}', '{"message":"hi "}', False),
        ('{"message":"hi"}', '{"message":"Hi"}', False),
        ('{"message":"\\u00e9"}', '{"message":"e\\u0301"}', False),
        ('{"message":"hi","session_id":"s"}', '{"message":"hi","session_id":"t"}', False),
        ('{"message":"hi","session_id":"s"}', '{"message":"hi"}', False),
        ('{"message":"hi","metadata":{"a":1}}', '{"message":"hi","metadata":{"a":2}}', False),
        ('{"message":"hi","metadata":{"a":[1,2]}}', '{"message":"hi","metadata":{"a":[2,1]}}', False),
        ('{"message":"hi","metadata":{"a":null}}', '{"message":"hi"}', False),
        ('{"message":"a","session_id":"b"}', '{"message":"b","session_id":"a"}', False),
    ],
)
def test_what_is_the_same_chat(one, other, wanted):
    assert same(one, other) == wanted


PARTS = st.binary(max_size=6)


@given(PARTS, PARTS, PARTS, PARTS)
def test_neither_the_key_nor_its_owner_can_be_moved_into_the_other(one, owner, other, another):
    asked = chat('{"message":"hi"}')
    first, second = key.remembered(one, owner, asked), key.remembered(other, another, asked)
    assert (first.digest == second.digest) == ((one, owner) == (other, another))
    assert first.body == second.body


# -- what targets get ---------------------------------------------------------------------------------------------------


def sent_to(target: str, question: Question = QUESTION, own: Snapshot = KNOWN, **asked) -> str:
    fields = asked.pop("fields", ("Idempotency-Key: k",))
    return key.outgoing(incoming(*fields, **asked), own, question).key(1, target, 0.0, lambda _: None)


def test_a_target_gets_a_digest_of_the_clients_key_that_is_the_same_for_the_same_chat_and_holds_nothing_of_it():
    one = sent_to("switch")
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert sent_to("switch") == one
    assert sent_to("switch", replace(QUESTION, correlation_id="another", trace={"traceparent": "t"})) == one
    assert sent_to("switch", own=snapshot(Tokens([TOKEN]), idempotency={"mode": "on"})) == one


@pytest.mark.parametrize(
    "other",
    [
        {"fields": ("Idempotency-Key: l",)},
        {"token": "other"},
        {"target": "madre"},
        {"question": replace(QUESTION, message="ho")},
        {"question": replace(QUESTION, session_id="s-2")},
        {"question": replace(QUESTION, metadata={"a": 1})},
        {"own": OPEN},
    ],
    ids=["key", "token", "target", "message", "session", "metadata", "owner"],
)
def test_whatever_is_another_chat_to_a_target_has_another_key_there(other):
    assert sent_to(**{"target": "switch", **other}) != sent_to("switch")


@pytest.mark.parametrize("fields", [(), ("Idempotency-Key:",), ("Idempotency-Key: a", "Idempotency-Key: a")])
def test_without_a_key_of_the_clients_one_is_made_for_the_call_and_for_no_other(fields):
    facts: list[KeySent] = []
    outgoing, again = (key.outgoing(incoming(*fields), KNOWN, QUESTION) for _ in range(2))
    made = [outgoing.key(7, target, 1.5, facts.append) for target in ("switch", "madre", "switch")]
    assert made[0] == made[2] != made[1]
    assert again.key(8, "switch", 1.5, lambda _: None) not in made
    assert facts == [KeySent(1.5, 7, "switch", made=True), KeySent(1.5, 7, "madre", made=True)]


def test_the_clients_key_is_told_apart_from_a_made_one():
    facts: list[KeySent] = []
    key.outgoing(incoming("Idempotency-Key: k"), KNOWN, QUESTION).key(7, "switch", 1.5, facts.append)
    assert facts == [KeySent(1.5, 7, "switch", made=False)]


def test_the_key_is_read_where_the_policy_says_it_is():
    own = snapshot(Tokens([TOKEN]), idempotency={"header": "x-once"})
    facts: list[KeySent] = []
    for name in ("X-Once", "Idempotency-Key"):
        key.outgoing(incoming(f"{name}: k"), own, QUESTION).key(7, "switch", 1.5, facts.append)
    assert [fact.made for fact in facts] == [False, True]
