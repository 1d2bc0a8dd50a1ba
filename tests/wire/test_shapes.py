"""A head that differs from judged ones only in values is answered exactly as a fresh one, and without being judged."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.wire import head, request
from sidecar.wire.head import Refused
from sidecar.wire.heads import LONGEST, Heads
from sidecar.wire.inventory import usage
from sidecar.wire.shapes import MOST_LEFT_OUT, MOST_LINES
from tests.wire.test_heads import REQUESTS, counted, rules

HOST = b"Host: gateway:8000"
USUAL = (HOST, b"User-Agent: curl/8", b"Accept: */*", b"X-VX11-Token: 0123456789")

# Lines with a place for a value. The first are often shapes; the others never are, or only as long as the value is a harmless one.
ORDINARY = (
    b"X-A:%b", b"X-B:%b", b"X-%b: 1", b"X-%b: X-A:1", b"X-Request-Id: %b", b"traceparent:%b", b"Cookie:  \ta=%b; b\t ", b"X-Percent: %%d%b%%", b"A:: %b",
    b"Content-Length: 1%b", b"content-LENGTH:\t2%b ",
)  # fmt: skip
OTHERS = (
    b"Host: %b", b"User-Agent: curl/%b", b"user-agent:%b", b"Authorization: Bearer %b", b"X-VX11-Token: %b", b"x-vx11-TOKEN: %b", b"Api-Key: %b",
    b"Connection: %b", b"Connection: close, x-%b", b"Content-Length: %b", b"Transfer-Encoding: %b", b"Expect: %b", b"Upgrade: %b", b"TE: %b",
    b"Keep-Alive: timeout=%b", b"Via: 1.1 %b", b"Max-Forwards: %b", b"Forwarded: for=%b", b"X-Forwarded-For: %b", b"X-Forwarded-%b: https",
    b"X-Real-IP: %b", b"HTTP2-Settings: %b", b"%b: 1", b"%b", b":%b", b":X-A%b", b" folded: %b", b"X-A : %b", b"X A: %b",
)  # fmt: skip
FIXED = (
    *USUAL, b"host:h", b"Connection: close", b"Connection: X-A", b"connection: keep-alive, x-1 , cookie, Traceparent", b"Connection: upgrade",
    b"Upgrade: websocket", b"Content-Length: 0", b"Content-Length: 003", b"Content-Length: 12", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Via: 1.0 a", b"Via: 1.1 p",
    b"Max-Forwards: 3", b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-A:", b"X-A:1", b"X-B:1", b"X-1: 1", b"X-Percent: %b%%", b":X-A", b"",
)  # fmt: skip
STARTS = (
    b"GET / HTTP/1.1", b"GET /a?b=%b HTTP/1.1", b"POST /operator/api/chat HTTP/1.1", b"POST /operator/api/Chat HTTP/1.0", b"GET /debug/x HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"TRACE / HTTP/1.1", b"GET http://h/%25 HTTP/1.1", b"GET: / HTTP/1.1", b"GET / HTTP/2.0", b"CONNECT h:1 HTTP/1.1",
)  # fmt: skip
HARMLESS = (b"", b"1", b"2", b"a")
QUERIES = (
    b"GET /a?%b HTTP/1.1", b"POST /operator/api/chat?a=%b HTTP/1.1", b"GET /debug/x?%b HTTP/1.1", b"TRACE /%%25?%b HTTP/1.1", b"POST /a?b?%%d%b HTTP/1.1",
)  # fmt: skip
OTHER_STARTS = (
    b"GET /%b HTTP/1.1", b"GET /a?%b HTTP/1.0", b"GET http://h/?%b HTTP/1.1", b"OPTIONS *?%b HTTP/1.1", b"CONNECT /?%b HTTP/1.1", b"X-%b /?a:1 HTTP/1.1",
    b"GET /?a HTTP/1.%b", b"GET /? %b HTTP/1.1", b"X-A:%b",
)  # fmt: skip
VALUES = (
    *HARMLESS, b"0", b"9" * 17, b"9" * 18, b"?", b"#", b"/", b" HTTP/1.1", b"close", b"chunked", b"keep-alive", b"X-A", b"\xe9", b"%b", b"%", b" ", b"\t", b"\r", b"\n", b"\0", b"\x7f", b"1\r\n 2", b"1\n2",
    b"1\r\nX-A:1", b"1\r\nHost: h", b"1\r\n\r\n", b"1\r\n:X-A",
)  # fmt: skip


def escaped(line: bytes) -> bytes:
    return line.replace(b"%", b"%%")


class Lines(NamedTuple):
    """What heads of a kind are made of, by how much of it may be left out."""

    starts: tuple[bytes, ...]
    always: tuple[bytes, ...]
    ordinary: tuple[bytes, ...]
    others: tuple[bytes, ...]
    fixed: tuple[bytes, ...]


ASKED = Lines((*map(escaped, STARTS), *QUERIES, *QUERIES, *OTHER_STARTS), (HOST,), ORDINARY, OTHERS, FIXED)


@st.composite
def alike(draw, of):
    """Some heads with the same lines, up to the values. The first of them mostly go on, so that there is a shape for the others."""
    varying = draw(st.lists(st.sampled_from(of.ordinary), min_size=1, max_size=3))
    varying += draw(st.lists(st.sampled_from(of.others), max_size=1))
    fixed = [escaped(line) for line in (*of.always, *draw(st.lists(st.sampled_from(of.fixed), max_size=2)))]
    lines = draw(st.permutations(varying + fixed))
    form = b"\r\n".join((draw(st.sampled_from(of.starts)), *lines, b"", b""))
    places = form.replace(b"%%", b"").count(b"%b")
    pools = (HARMLESS, HARMLESS, HARMLESS, HARMLESS, VALUES, VALUES)
    return [form % tuple(draw(st.sampled_from(pool)) for _ in range(places)) for pool in pools]


def assert_judged_as_fresh(heads: Heads, raws: list[bytes]) -> None:
    for raw in raws:
        assert counted(heads.request(raw)) == counted(request.read(raw, heads.rules))


@settings(max_examples=300)
@given(st.lists(alike(ASKED), min_size=1, max_size=3), st.integers(1, 4), st.booleans())
def test_heads_of_a_shape_are_judged_as_fresh_ones(shapes, most, other_rules):
    limits = {"token": b"api-key", "fields": 5, "longest": 120} if other_rules else {}
    heads = Heads(rules(**limits), most)
    assert_judged_as_fresh(heads, [raw for raws in shapes for raw in raws])
    assert_judged_as_fresh(heads, [raw for raws in zip(*shapes, strict=False) for raw in raws])


SOURCES = [order for length in (1, 2, 3) for order in permutations(("header", "bearer", "query"), length)]
BEARING = Lines(
    (
        b"POST /operator/api/chat?token=%b HTTP/1.1", b"POST /operator/api/chat?a=%b&token=%b HTTP/1.1", b"POST /a?tok%%65n=%b&token=%b HTTP/1.1",
        b"POST /operator/api/chat?token=%b&token=%b HTTP/1.1", b"POST /operator/api/chat?%b=1 HTTP/1.1", b"POST /operator/api/chat HTTP/1.1",
        b"POST /operator/api/chat/?token=1 HTTP/1.1",
    ),
    (HOST,),
    (b"X-A:%b", b"X-Request-Id: %b", b"Cookie: token=%b"),
    (b"Authorization: Bearer %b", b"authorization: BEARER  %b", b"Authorization: Basic %b", b"X-VX11-Token: %b", b"x-vx11-token:%b", b"Proxy-Authorization: Bearer %b"),
    (b"Authorization: Bearer 1", b"X-VX11-Token: 1", b"X-VX11-Token:", b"Authorization: Bearer", b"Referer: http://h/?token=1", b"Content-Length: 12"),
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(alike(BEARING), min_size=1, max_size=3),
    st.integers(1, 4),
    st.sampled_from(SOURCES),
    st.sampled_from([b"x-vx11-token", b"authorization"]),
)
def test_a_token_is_never_another_heads(shapes, most, sources, name):
    """Wherever it is looked for, and whatever was remembered before."""
    heads = Heads(rules(sources=sources, token=name), most)
    assert_judged_as_fresh(heads, [raw for raws in shapes for raw in raws])
    assert_judged_as_fresh(heads, [raw for raws in zip(*shapes, strict=False) for raw in raws])


@pytest.mark.parametrize("sources", SOURCES)
@pytest.mark.parametrize("name", [b"X-Request-Id: %d", b"Cookie: %d"])
def test_a_warm_memory_lets_nobody_in_who_brings_no_token(sources, name, judged):
    """As many as would be needed for a shape came with a right token; then come its likes without one, or with another."""

    def asks(target: bytes, *lines: bytes) -> bytes:
        return b"\r\n".join((b"POST %b HTTP/1.1" % target, HOST, *lines, b"", b""))

    chat = b"/operator/api/chat"
    shown = {
        "header": lambda token, n: asks(chat + b"?n=%d" % n, name % n, b"X-VX11-Token: " + token),
        "bearer": lambda token, n: asks(chat + b"?n=%d" % n, name % n, b"Authorization: Bearer " + token),
        "query": lambda token, n: asks(chat + b"?n=%d&token=%b" % (n, token), name % n),
    }
    heads = Heads(rules(sources=sources))
    for way, bearing in shown.items():
        for n in range(6):
            assert heads.request(bearing(b"right", n)).tokens == ((b"right",) if way in sources else ())
        for token in (b"wrong", b"righ", b"rightt", b""):
            tokens = heads.request(bearing(token, 7)).tokens
            assert tokens in ((token,), ()) if way in sources and token else tokens in ((), (b"",))
        for bare in (asks(chat, name % 8), asks(chat + b"?n=8", name % 8), asks(chat + b"?", name % 8)):
            assert heads.request(bare).tokens == ()
    judged.clear()
    for n in range(9, 12):  # one and the same token in the query is worth remembering, its likes are not
        assert heads.request(asks(chat + b"?token=right", name % n)).tokens == (
            (b"right",) if "query" in sources else ()
        )
    assert len(judged) == (2 if "query" in sources else 0)


@pytest.fixture
def judged(monkeypatch):
    """The heads that were judged, and not made from a shape."""
    seen: list[bytes] = []
    read = request.read

    def reading(raw: bytes, by: head.Rules) -> request.Request | Refused:
        seen.append(raw)
        return read(raw, by)

    monkeypatch.setattr(request, "read", reading)
    return seen


def named(raw: bytes, place: int, name: bytes) -> bytes:
    """``raw`` with a line ``name`` after so many of its own."""
    lines = raw.split(b"\r\n")
    return b"\r\n".join((*lines[:place], name, *lines[place:]))


@pytest.mark.parametrize("raw", [raw for raw in REQUESTS if b"\r\n\r\n" in raw and len(raw) < LONGEST - 100])
def test_every_head_of_the_corpus_with_a_name_of_its_own(raw, judged):
    """Wherever the name stands: from the third on nobody judges it, unless it is refused."""
    for place in range(1, raw.count(b"\r\n")):
        heads = Heads(rules())
        for n in range(4):
            alike = named(raw, place, b"X-Case: %d" % n)
            judged.clear()
            answer = heads.request(alike)
            assert bool(judged) == (n < 2 or isinstance(answer, Refused)), alike
            assert counted(answer) == counted(request.read(alike, heads.rules))


@pytest.mark.parametrize("raw", [raw for raw in REQUESTS if b"\r\n\r\n" in raw and len(raw) < LONGEST - 100])
def test_every_head_of_the_corpus_with_a_query_of_its_own(raw):
    heads = Heads(rules())
    line = raw.partition(b"\r\n")[0]
    start, _, version = line.rpartition(b" ")
    assert_judged_as_fresh(heads, [b"%b?%d %b%b" % (start, n, version, raw[len(line) :]) for n in range(4)])


@pytest.mark.parametrize(
    ("target", "remembered"),
    [
        (b"/operator/api/events?follow=%d", True),
        (b"/operator/api/chat?a=%d?b/c", True),
        (b"/%d?a", False),
        (b"http://h/a?b=%d", False),
        (b"/a#?b=%d", False),
    ],
)
def test_a_query_is_left_out_and_a_path_is_not(target, remembered, judged):
    heads = Heads(rules())
    for n in range(6):
        heads.request(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % (target % n))
    assert len(judged) == (2 if remembered else 6)


@pytest.mark.parametrize(
    "forms", [(b"GET /a?%b HTTP/1.1", b"GET /a HTTP/1.1"), (b"GET /a?%b HTTP/1.1", b"GET /a? HTTP/1.1")]
)
def test_with_a_query_and_without_are_two_shapes(forms):
    heads = Heads(rules())
    starts = [form.replace(b"%b", b"%d" % n) for n in range(4) for form in forms]
    assert_judged_as_fresh(heads, [b"%b\r\nHost: h\r\n\r\n" % start for start in starts])


def test_a_length_is_left_out_unless_it_is_none(judged):
    heads = Heads(rules())
    for length in (1, 2, 30, 400, 10**17, 10**18 - 1):
        assert heads.request(head_of(HOST, b"Content-Length: %d" % length)).length == length
    assert len(judged) == 2
    for other in (b"0", b"007", b"+1", b"1_0", b"1" * 19, b"", b"1,1"):
        raw = head_of(HOST, b"Content-Length: " + other)
        assert heads.request(raw) == request.read(raw, heads.rules)
    assert len(judged) == 2 + 2 * 7


def head_of(*lines: bytes) -> bytes:
    return b"\r\n".join((b"GET / HTTP/1.1", *lines, b"", b""))


@pytest.mark.parametrize(
    ("lines", "other"),
    [
        ((b"User-Agent: a",), (b"User-Agent: Mozilla/5.0",)),
        ((b"Connection: x-request-id", b"X-Request-Id: 1"), (b"Connection: x-request-id", b"X-Request-Id: 2")),
        ((b"X-Forwarded-Proto: a",), (b"X-Forwarded-Proto: b",)),
        ((b"Authorization: a",), (b"Authorization: b",)),
        (tuple(b"X-%d: a" % n for n in range(MOST_LEFT_OUT + 1)), tuple(b"X-%d: b" % n for n in range(MOST_LEFT_OUT + 1))),
    ],
    ids=["counted by", "dropped", "forwarding", "authorization", "too many"],
)  # fmt: skip
def test_a_line_that_matters_is_no_part_of_a_shape(lines, other, judged):
    heads = Heads(rules())
    heads.request(head_of(HOST))
    for changed in (lines, other, lines):
        heads.request(head_of(HOST, *changed))
    assert len(judged) == 3


@pytest.mark.parametrize(
    "heads",
    [
        [(b"Connection: X-B", b"X-%b: 1" % name) for name in (b"A", b"A", b"C", b"D", b"B")],
        [(b"X-A: 12", b"X-A: %d" % n) for n in (5, 1, 3, 4)],
        [(b"X-A: %d" % n, b"X-B: 1", b"X-A: %d" % n) for n in range(4)],
        [(b"X-A:", b"X-B: 1"), (b"X-A:", b"X-B: 2"), (b"X-A: 1", b"X-B: 2"), (b"X-A: 3", b"X-B: 4"), (b"X-A:", b"X-B: 5")],
    ],
    ids=["another name, which is dropped", "what is new begins as what is known", "the same twice", "an empty value that is known"],
)  # fmt: skip
def test_what_nearly_is_of_a_shape(heads):
    assert_judged_as_fresh(Heads(rules()), [head_of(HOST, *lines) for lines in heads])


def test_a_named_field_goes_on_in_its_place_and_the_request_counts_as_ever(judged):
    heads = Heads(rules())
    for n in range(9):
        asked = heads.request(head_of(*USUAL, b"X-Request-Id: %d%%d" % n, b"Cookie: a=%d" % n))
        assert asked.raw == head_of(*USUAL, b"X-Request-Id: %d%%d" % n, b"Cookie: a=%d" % n)
        assert b"0123456789\r\nX-Request-Id: %d%%d\r\nCookie: a=%d\r\nVia: " % (n, n) in asked.before
        assert usage(asked).client == "curl"
    assert len(judged) == 2


def test_shapes_and_lines_are_bounded_and_learnt_anew(judged):
    most = 3
    heads = Heads(rules(), most)
    for n in range(MOST_LINES + 10):
        heads.request(head_of(HOST, b"User-Agent: %d" % n))
        assert len(heads._request_shapes._known) <= MOST_LINES
    for n in range(5 * most):
        for value in range(3):
            heads.request(head_of(*USUAL, b"X-%d: %d" % (n, value)))
        assert len(heads._request_shapes._shapes) <= 2 * most
    judged.clear()
    for value in range(3, 6):
        heads.request(head_of(*USUAL, b"X-%d: %d" % (5 * most - 1, value)))
    assert not judged


def test_what_is_refused_or_long_teaches_nothing():
    heads = Heads(rules())
    for raw in (head_of(b"Host: h", b"Host: h"), head_of(b"Host: h", b"X: " + b"a" * LONGEST)):
        heads.request(raw)
    assert not heads._request_shapes._known
