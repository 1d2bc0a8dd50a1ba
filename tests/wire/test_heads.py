"""A remembered head is answered exactly as a fresh one, whatever was remembered before, and the memory stays small."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire import head, request, response
from sidecar.wire.generations import Generations
from sidecar.wire.head import Refused
from sidecar.wire.heads import LONGEST, Heads
from sidecar.wire.inventory import usage
from sidecar.wire.target import Routes
from tests.corpus.judge import cases

CHAT = ("/operator/api/chat", "/operator/api/v1/chat")


def rules(pseudonym: bytes = b"p", **limits: Any) -> head.Rules:
    return head.rules(Routes(CHAT, ("/debug/*",)), pseudonym=pseudonym, authority=b"gateway:8000", **limits)


def first_head(text: str) -> bytes:
    raw = text.encode("latin1")
    return raw[: raw.find(b"\r\n\r\n") + 4] if b"\r\n\r\n" in raw else raw


CORPUS = cases("http1_wire") + cases("more_wire")
REQUESTS = sorted({first_head(case["request"]) for case in CORPUS} | {b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"})
RESPONSES = sorted({first_head(case["up_reply"]) for case in CORPUS if "up_reply" in case})
SHORT = 4_096  # bytes of a head that is varied
METHODS = (b"GET", b"HEAD", b"POST", b"CONNECT", b"OPTIONS", b"head")


@st.composite
def varied(draw, raws):
    """A head of the corpus, perhaps with one byte changed, left out or doubled: the same to nobody who compares bytes."""
    raw = draw(st.sampled_from(raws))
    at = draw(st.integers(0, len(raw) - 1))
    change = draw(st.sampled_from(["none", "none", "other", "out", "twice"]))
    if change == "other":
        return raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
    return raw[:at] + raw[at + (change == "out") - (change == "twice") * (at > 0) :] if change != "none" else raw


@given(asked=st.lists(varied([raw for raw in REQUESTS if 0 < len(raw) <= SHORT]), max_size=30), most=st.integers(1, 6))
def test_a_remembered_request_is_judged_as_a_fresh_one(asked, most):
    heads = Heads(rules(), most)
    for raw in asked + asked[::-1] + asked:
        assert counted(heads.request(raw)) == counted(request.read(raw, rules()))


@given(
    came=st.lists(
        st.tuples(varied([raw for raw in RESPONSES if 0 < len(raw) <= SHORT]), st.sampled_from(METHODS)), max_size=30
    ),
    most=st.integers(1, 6),
)
def test_a_remembered_response_is_judged_as_a_fresh_one(came, most):
    """Also where the same bytes once answered a HEAD, after which no body follows, and once a GET."""
    heads = Heads(rules(), most)
    for raw, method in came + came[::-1] + came:
        assert heads.response(raw, method) == response.read(raw, method, rules())


def counted(judged: request.Request | Refused) -> request.Request | Refused:
    """With ``used`` filled in: that of a fresh one waits until somebody asks."""
    if isinstance(judged, request.Request):
        usage(judged)
    return judged


def test_every_head_of_the_corpus_twice():
    heads = Heads(rules(), 2 * len(REQUESTS))
    first = [counted(heads.request(raw)) for raw in REQUESTS]
    assert [counted(heads.request(raw)) for raw in REQUESTS] == first
    assert first == [counted(request.read(raw, rules())) for raw in REQUESTS]
    for raw, judged in zip(REQUESTS, first, strict=True):
        remembered = isinstance(judged, request.Request) and len(raw) <= LONGEST
        assert (heads.request(raw) is judged) == remembered, raw


def test_what_is_refused_or_long_is_not_remembered():
    heads = Heads(rules(longest=1 << 20))
    for raw in (b"GET / HTTP/1.1\r\n\r\n", b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * LONGEST)):
        heads.request(raw)
        assert len(heads._requests) == 0
    heads.response(b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"a" * LONGEST), b"GET")
    heads.response(b"HTTP/1.1 200\r\nContent-Length: x\r\n\r\n", b"GET")
    heads.response(b"HTTP/1.1 200 OK\r\n\r\n", b"HEAD")
    assert len(heads._responses) == 0


def test_other_rules_remember_for_themselves():
    raw = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    one, other = Heads(rules(b"one")), Heads(rules(b"other"))
    assert b"Via: 1.1 one\r\n" in one.request(raw).outgoing(b"peer", trusted=False)
    assert b"Via: 1.1 other\r\n" in other.request(raw).outgoing(b"peer", trusted=False)


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 8))
def test_what_was_used_lately_is_there_and_nothing_for_ever(keys, most):
    known, last = Generations(most), {}
    for now, key in enumerate(keys):
        name = b"%d" % key
        between = len(set(keys[last[key] : now])) if key in last else None
        found = known.get(name)
        assert found in (None, key)
        if between is not None and between <= most:
            assert found == key
        if found is None:
            known.put(name, key)
        last[key] = now
        assert len(known) <= 2 * most


@pytest.mark.parametrize("most", [1, 3])
def test_what_is_not_used_is_forgotten(most):
    known = Generations(most)
    known.put(b"first", 1)
    for n in range(2 * most):
        known.put(b"%d" % n, n)
    assert known.get(b"first") is None
