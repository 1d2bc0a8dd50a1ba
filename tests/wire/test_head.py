"""Heads: what is refused, what goes on, and that neither depends on how the bytes arrive."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.wire import head, request, response
from sidecar.wire.answer import answer, detail
from sidecar.wire.body import BY_CHUNKS, BY_LENGTH, NOTHING, UNTIL_CLOSE
from sidecar.wire.head import Refused
from sidecar.wire.target import Routes

ROUTES = Routes(("/operator/api/chat",), ("/debug/*",))
RULES = head.rules(ROUTES, pseudonym=b"VX11-sidecar-0123abcd", authority=b"gateway:8000", longest=4096, fields=10)


def asked(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bool = True) -> request.Request | Refused:
    lines = [line, *([b"Host: h"] if host else []), *fields]
    return request.read(b"\r\n".join(lines) + b"\r\n\r\n", RULES)


def sent(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bool = True, trusted: bool = False) -> bytes:
    read = asked(*fields, line=line, host=host)
    assert isinstance(read, request.Request), read
    return read.outgoing(b"10.0.0.1", trusted=trusted)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([b"X : y"], 400),
        ([b"X: a\rb"], 400),
        ([b"X: a\nb"], 400),
        ([b"X: a\x00"], 400),
        ([b"X: a\x7f"], 400),
        ([b"X: a", b" folded"], 400),
        ([b": y"], 400),
        ([b"broken"], 400),
        ([b"Host: h"], 400),
        ([b"X-VX11-Token: a", b"x-vx11-token: a"], 400),
        ([b"Authorization: a", b"authorization: b"], 400),
        ([b"Content-Length: 1", b"Content-Length: 1"], 400),
        ([b"Content-Length: 1, 1"], 400),
        ([b"Content-Length: +1"], 400),
        ([b"Content-Length: " + b"1" * 19], 400),
        ([b"Content-Length: 1", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding:"], 501),
        ([b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 1"], 400),
        ([b"Connection: upgrade", b"Upgrade: websocket", b"Transfer-Encoding: chunked"], 400),
        ([b"X-%d: y" % n for n in range(11)], 431),
        ([b"X: " + b"y" * 4096], 431),
        ([b"Via: 1.1 vx11-Sidecar-0123abcd"], 508),
    ],
)
def test_refused_fields(fields: list[bytes], status: int):
    read = asked(*fields)
    assert isinstance(read, Refused)
    assert read.status == status
    assert re.fullmatch(r"[a-z_]+", read.why)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/1.10", 505),
        (b"GET / RTSP/1.0", 505),
        (b"GET / http/1.1", 505),
        (b"GET /", 505),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"G(T / HTTP/1.1", 400),
        (b"GET /\x01 HTTP/1.1", 400),
        (b"GET /a#b HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET a HTTP/1.1", 400),
        (b"GET http://u:p@h/ HTTP/1.1", 400),
        (b"GET http:/// HTTP/1.1", 400),
        (b"GET ftp://h/ HTTP/1.1", 400),
        (b"CONNECT h:443 HTTP/1.1", 405),
        (b"A" * 33 + b" / HTTP/1.1", 501),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1", 414),
    ],
)
def test_refused_lines(line: bytes, status: int):
    read = asked(line=line)
    assert isinstance(read, Refused)
    assert read.status == status


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a b",
        b"a/b",
        b"a?b",
        b"a#b",
        b"u@h",
        b"a,b",
        b"[::1",
        b"[::g]",
        b"h:",
        b"h:1:2",
        b"h:x",
        b"<h>",
        b"a%zz",
        b"a" * 256,
        b"\xff",
    ],
)
def test_bad_hosts(host: bytes):
    assert asked(b"Host: " + host, host=False) == Refused(400, "host")


@pytest.mark.parametrize(
    "host", [b"h", b"h:8000", b"127.0.0.1", b"[::1]:1", b"tentaculo_link:8000", b"a%20b", b"xn--a.example."]
)
def test_good_hosts(host: bytes):
    assert b"\r\nHost: " + host + b"\r\n" in sent(b"Host: " + host, host=False)


def test_missing_host():
    assert asked(host=False) == Refused(400, "no_host")
    assert sent(line=b"GET / HTTP/1.0", host=False).startswith(b"GET / HTTP/1.1\r\nHost: gateway:8000\r\n")


def test_hop_by_hop_goes_and_what_matters_stays():
    out = sent(
        b"Connection: close, X-Mine, host, content-length, x-vx11-token, authorization, X-Forwarded-For, Cookie",
        b"x-mine: 1", b"Keep-Alive: 1", b"Proxy-Connection: 1", b"TE: trailers", b"X-VX11-Token: t", b"Authorization: a", b"Cookie: c",
        b"Content-Length: 2",
    )  # fmt: skip
    assert out == (
        b"GET / HTTP/1.1\r\nHost: h\r\nX-VX11-Token: t\r\nAuthorization: a\r\nCookie: c\r\nContent-Length: 2\r\n"
        b"Via: 1.1 vx11-sidecar-0123abcd\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n\r\n"
    )


def test_upgrades():
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in sent(
        b"Connection: keep-alive, Upgrade", b"Upgrade: h2c, websocket"
    )
    for fields in (
        [b"Upgrade: websocket"],
        [b"Connection: notupgrade", b"Upgrade: websocket"],
        [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: A"],
        [b"Connection: Upgrade", b"Upgrade: websocket h2c"],
        [b"Connection: Upgrade", b"Upgrade: a/b/h2c"],
        [b"Connection: Upgrade", b'Upgrade: "h2c"'],
    ):
        out = sent(*fields).lower()
        assert b"upgrade" not in out
        assert b"http2" not in out
    assert b"\r\nUpgrade: IRC/6.9, x\r\n" in sent(b"Connection: Upgrade", b"Upgrade: IRC/6.9, h2c,, x")
    # Some clients offer h2c with every request; what is not passed on needs no refusal.
    assert b"Content-Length: 5" in sent(
        b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5", line=b"POST / HTTP/1.1"
    )
    assert b"websocket" not in sent(b"Connection: Upgrade", b"Upgrade: websocket", line=b"GET / HTTP/1.0")


def test_forwarding_fields_of_strangers_are_replaced():
    fields = (
        b"X-Forwarded-For: 1.1.1.1",
        b"x-forwarded-for: 2.2.2.2",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Port: 1",
        b"Forwarded: for=1",
        b"X-Real-IP: 1",
    )
    out = sent(*fields)
    assert out.lower().count(b"forwarded") == 3
    assert b"X-Forwarded-For: 10.0.0.1\r\n" in out
    kept = sent(*fields, trusted=True)
    assert (
        b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nForwarded: for=1\r\nX-Real-IP: 1\r\nX-Forwarded-Host: h\r\n"
        in kept
    )


def test_framing_is_written_canonically():
    assert b"\r\nContent-Length: 5\r\n" in sent(b"Content-Length: 0005", line=b"POST / HTTP/1.1")
    assert (
        sent(b"Transfer-Encoding: \t Chunked", line=b"POST / HTTP/1.1").count(b"\r\nTransfer-Encoding: chunked\r\n")
        == 1
    )
    for fields, framing, length in (
        ((), NOTHING, 0),
        ((b"Content-Length: 7",), BY_LENGTH, 7),
        ((b"Transfer-Encoding: chunked",), BY_CHUNKS, -1),
    ):
        read = asked(*fields)
        assert isinstance(read, request.Request)
        assert (read.framing, read.length) == (framing, length)


def test_max_forwards():
    assert asked(b"Max-Forwards: 0", line=b"OPTIONS / HTTP/1.1") == Refused(204, "max_forwards")
    assert asked(b"Max-Forwards: 0", line=b"TRACE / HTTP/1.1") == Refused(405, "max_forwards")
    assert b"\r\nMax-Forwards: 6\r\n" in sent(b"Max-Forwards: 7", line=b"OPTIONS / HTTP/1.1")
    assert b"\r\nMax-Forwards: 0\r\n" in sent(b"Max-Forwards: 0")


def test_absolute_form():
    assert sent(line=b"GET http://Other:1/a?b HTTP/1.1").startswith(b"GET /a?b HTTP/1.1\r\nHost: Other:1\r\nVia")
    assert sent(line=b"GET HTTPS://o?b HTTP/1.1").startswith(b"GET /?b HTTP/1.1\r\nHost: o\r\n")
    assert sent(line=b"OPTIONS http://o HTTP/1.1").startswith(b"OPTIONS * HTTP/1.1\r\nHost: o\r\n")


@pytest.mark.parametrize(
    ("line", "fields", "close"),
    [
        (b"1.1", (), False),
        (b"1.1", (b"Connection: a, CLOSE",), True),
        (b"1.0", (), True),
        (b"1.0", (b"Connection: Keep-Alive",), False),
        (b"1.1", (b"Connection: closed",), False),
    ],
)
def test_keep_alive(line: bytes, fields: tuple[bytes, ...], *, close: bool):
    read = asked(*fields, line=b"GET / HTTP/" + line)
    assert isinstance(read, request.Request)
    assert read.close == close


def test_expectations():
    read = asked(b"Expect: 100-Continue")
    assert isinstance(read, request.Request)
    assert read.expects
    assert b"Expect" in read.before
    read = asked(b"Expect: 100-continue", line=b"GET / HTTP/1.0")
    assert isinstance(read, request.Request)
    assert not read.expects
    assert b"Expect" not in read.before


def test_fields_are_found_by_name():
    read = asked(b"Origin:  http://a ", b"X-Origin: b")
    assert isinstance(read, request.Request)
    assert read.field(b"origin") == b"http://a"
    assert read.field(b"x-correlation-id") is None


NAME = st.from_regex(rb"[A-Za-z0-9-]{1,12}", fullmatch=True)
VALUE = st.from_regex(rb"[\t\x20-\x7e\x80-\xff]{0,20}", fullmatch=True)
SPECIAL = st.sampled_from([
    b"Connection: close", b"Connection: X-A", b"X-A: 1", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Upgrade: websocket", b"Via: 1.1 a",
    b"X-VX11-Token: t", b"Expect: 100-continue", b"TE: a", b"X-Forwarded-For: 1", b"Max-Forwards: 3", b"Host: other", b" folded", b"bad", b"A: \x00",
])  # fmt: skip
LINES = st.lists(st.one_of(st.builds(lambda n, v: n + b":" + v, NAME, VALUE), SPECIAL), max_size=9)


@given(LINES)
def test_ordinary_lines_go_on_byte_for_byte_and_in_order(lines: list[bytes]):
    read = asked(*lines)
    if isinstance(read, Refused):
        return
    out = read.outgoing(b"p", trusted=False)
    assert out.endswith(b"\r\n\r\n")
    assert out.count(b"\r\n\r\n") == 1
    special = {*head.REQUEST_FIELDS, b"x-a", b"x-vx11-token"}
    listed = b",".join(line[11:].lower() for line in lines if line.lower().startswith(b"connection:"))
    plain = [
        line
        for line in lines
        if line.partition(b":")[0].lower() not in special
        and line.partition(b":")[0].lower() not in listed
        and not line.lower().startswith((b"x-forwarded-", b"forwarded"))
    ]
    passed = out.split(b"\r\n")
    assert [line for line in passed if line in plain] == plain


@given(st.data())
def test_a_head_is_judged_alike_however_it_arrives(data: st.DataObject):
    lines = data.draw(LINES)
    start = data.draw(
        st.sampled_from(
            [b"GET / HTTP/1.1", b"POST /operator/api/chat HTTP/1.1", b"get x", b"\x16\x03", b"GET /a\nb HTTP/1.1"]
        )
    )
    raw = b"\r\n".join([start, b"Host: h", *lines]) + b"\r\n\r\n"
    whole = request.read(raw, RULES)
    cuts = sorted(data.draw(st.lists(st.integers(1, len(raw) - 4), max_size=5)))
    scanned = 0
    for cut in cuts:
        early = head.partial(raw[:cut], RULES, scanned)
        scanned = cut
        if early is not None:
            assert isinstance(whole, Refused)
            return
    assert request.read(raw, RULES) == whole


@given(st.binary(max_size=200))
@example(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
def test_any_bytes_are_judged(raw: bytes):
    read = request.read(raw + b"\r\n\r\n", RULES)
    assert isinstance(read, request.Request | Refused)
    assert isinstance(response.read(raw + b"\r\n\r\n", b"GET", RULES), response.Response | Refused)
    head.partial(raw, RULES)


OTHERS = head.rules(ROUTES, pseudonym=b"next-hop", authority=b"gateway:8000", longest=1 << 20, fields=1000)
CORPUS = json.loads((Path(__file__).parent.parent / "corpus" / "http1_wire.json").read_text())["cases"]
HEADS = [case["request"].encode("latin-1").partition(b"\r\n\r\n")[0] for case in CORPUS if len(case["request"]) < 2000]


@given(
    st.sampled_from(HEADS),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3), st.binary(max_size=3)), max_size=4),
)
def test_what_goes_on_reads_as_what_was_judged(raw: bytes, mutations: list[tuple[int, int, bytes]]):
    for at, removed, added in mutations:
        raw = raw[:at] + added + raw[at + removed :]
    raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    first = request.read(raw, RULES)
    if isinstance(first, Refused):
        return
    for trusted in (False, True):
        out = first.outgoing(b"10.0.0.1", trusted=trusted)
        second = request.read(out, OTHERS)
        assert isinstance(second, request.Request), (raw, second)
        for name in ("method", "target", "route", "path", "framing", "length", "upgrade", "tokens"):
            assert getattr(first, name) == getattr(second, name)
        assert second.minor == 1
        assert second.host == (first.host or b"gateway:8000")
        assert out.lower().count(b"\r\ncontent-length:") <= 1
        assert not (b"\r\ncontent-length:" in out.lower() and b"\r\ntransfer-encoding:" in out.lower())


# Responses.


def got(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET") -> response.Response | Refused:
    return response.read(b"\r\n".join([line, *fields]) + b"\r\n\r\n", method, RULES)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"HTTP/1.1 2x0 OK", ()),
        (b"HTTP/1.1 1000 OK", ()),
        (b"HTTP/1.1 099 OK", ()),
        (b"HTTP/2 200 OK", ()),
        (b"garbage", ()),
        (b"HTTP/1.1 200 OK", (b"X: a\x00b",)),
        (b"HTTP/1.1 200 OK", (b"X: a", b" b")),
        (b"HTTP/1.1 200 OK", (b"Content-Length: 2", b"Content-Length: 2")),
        (b"HTTP/1.1 200 OK", (b"Content-Length: x",)),
        (b"HTTP/1.1 200 OK", (b"Content-Length: 2", b"Transfer-Encoding: chunked")),
        (b"HTTP/1.1 200 OK", (b"Transfer-Encoding: foo",)),
        (b"HTTP/1.0 200 OK", (b"Transfer-Encoding: chunked",)),
    ],
)
def test_refused_responses(line: bytes, fields: tuple[bytes, ...]):
    read = got(*fields, line=line)
    assert isinstance(read, Refused)
    assert read.status == 502


@pytest.mark.parametrize(
    ("line", "method", "fields", "framing"),
    [
        (b"HTTP/1.1 200 OK", b"GET", (b"Content-Length: 2",), BY_LENGTH),
        (b"HTTP/1.1 200 OK", b"GET", (b"Content-Length: 0",), NOTHING),
        (b"HTTP/1.1 200 OK", b"HEAD", (b"Content-Length: 2",), NOTHING),
        (b"HTTP/1.1 200 OK", b"HEAD", (b"Transfer-Encoding: chunked",), NOTHING),
        (b"HTTP/1.1 304 N", b"GET", (b"Content-Length: 2",), NOTHING),
        (b"HTTP/1.1 204 N", b"GET", (), NOTHING),
        (b"HTTP/1.1 200 OK", b"GET", (b"Transfer-Encoding: chunked",), BY_CHUNKS),
        (b"HTTP/1.1 200 OK", b"GET", (), UNTIL_CLOSE),
    ],
)
def test_framing_of_responses(line: bytes, method: bytes, fields: tuple[bytes, ...], framing: int):
    read = got(*fields, line=line, method=method)
    assert isinstance(read, response.Response)
    assert read.framing == framing


def test_a_response_goes_on_as_it_came():
    read = got(
        b"ETAG: x",
        b"set-cookie: a",
        b"Set-Cookie: b",
        b"Connection: keep-alive, X-Gone",
        b"x-gone: 1",
        b"Keep-Alive: 5",
        b"Via: 1.0 a",
        b"content-length: 02",
        line=b"HTTP/1.0 299 Very Fine \xe9",
    )
    assert isinstance(read, response.Response)
    assert (
        read.head
        == b"HTTP/1.1 299 Very Fine \xe9\r\nETAG: x\r\nset-cookie: a\r\nSet-Cookie: b\r\ncontent-length: 02\r\nVia: 1.0 a, 1.0 vx11-sidecar-0123abcd"
    )
    assert (read.reusable, read.dated, read.stream) == (True, False, False)


@pytest.mark.parametrize(
    "fields", [(b"Content-Length: 5", b"Content-Length: 6"), (b"Content-Length: 5, 5",), (b"Content-Length: -1",)]
)
def test_the_length_that_a_304_tells_of_its_content_is_one_length(fields: tuple[bytes, ...]):
    assert got(*fields, line=b"HTTP/1.1 304 Not Modified") == Refused(502, "content_length")


def test_204_has_no_length():
    read = got(b"Content-Length: 0", line=b"HTTP/1.1 204 No Content")
    assert isinstance(read, response.Response)
    assert b"Length" not in read.head


def test_reuse_and_streams():
    for fields, line, reusable in (
        ((b"Content-Length: 2",), b"HTTP/1.1 200 OK", True),
        ((b"Content-Length: 2", b"Connection: Close"), b"HTTP/1.1 200 OK", False),
        ((b"Content-Length: 2",), b"HTTP/1.0 200 OK", False),
        ((), b"HTTP/1.1 200 OK", False),
    ):
        read = got(*fields, line=line)
        assert isinstance(read, response.Response)
        assert read.reusable == reusable
    read = got(b"Content-Type: Text/Event-Stream; charset=utf-8")
    assert isinstance(read, response.Response)
    assert read.stream


def test_answers_of_our_own():
    assert (
        answer(200, {"A": "b"}, b"x", close=True, date=b"Date: d")
        == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 1\r\nDate: d\r\nConnection: close\r\n\r\nx"
    )
    assert answer(204, {}, b"", close=False) == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert detail(403, "word", close=False, head_only=True).endswith(b"Content-Length: 17\r\n\r\n")
