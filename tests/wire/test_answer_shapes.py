"""An answer's head that differs from judged ones only in values is judged exactly as a fresh one, and without being judged."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.wire import head, response
from sidecar.wire.head import Refused
from sidecar.wire.heads import LONGEST, Heads
from sidecar.wire.response import Response
from tests.wire.test_heads import METHODS, RESPONSES, rules
from tests.wire.test_shapes import Lines, alike, named

DATE = b"Date: Sat, 28 Nov 2026 16:00:00 GMT"
CAME = Lines(
    starts=(
        *((b"HTTP/1.1 200 OK",) * 4), b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 101 S",
        b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 426 U", b"HTTP/1.1 500 %%d %b", b"HTTP/1.1 %b", b"HTTP/1.%b 200 OK", b"GET /?%b HTTP/1.1", b"X-A:%b",
    ),
    always=(),
    ordinary=(
        b"Date: %b", b"date:%b", b"X-A:%b", b"X-%b: 1", b"X-Request-Id: %b", b"Set-Cookie: a=%b; b", b"X-Percent: %%d%b%%", b'ETag: "%b"',
        b"Content-Length: 1%b", b"content-length:\t2%b ",
    ),
    others=(
        b"Content-Type: %b", b"Content-Length: %b", b"Connection: %b", b"Connection: close, x-%b", b"Transfer-Encoding: %b", b"Keep-Alive: max=%b",
        b"Upgrade: %b", b"Via: 1.1 %b", b"TE: %b", b"%b: 1", b"%b", b":%b", b":X-A%b", b" folded: %b", b"X-A : %b",
    ),
    fixed=(
        DATE, b"Server: uvicorn", b"Connection: close", b"Connection: X-A, date, x-1", b"connection: keep-alive", b"Content-Type: text/event-stream",
        b"Content-Length: 0", b"Content-Length: 003", b"Content-Length: 12", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Upgrade: h2c",
        b"Via: 1.0 a", b"X-A:", b"X-A:1", b"X-Percent: %b%%", b":X-A", b"",
    ),
)  # fmt: skip


def assert_judged_as_fresh(heads: Heads, raws: list[bytes], method: bytes = b"GET") -> None:
    for raw in raws:
        assert heads.response(raw, method) == response.read(raw, method, heads.rules)


@settings(max_examples=300)
@given(st.lists(alike(CAME), min_size=1, max_size=3), st.integers(1, 4), st.sampled_from(METHODS))
def test_answers_of_a_shape_are_judged_as_fresh_ones(shapes, most, method):
    heads = Heads(rules(), most)
    assert_judged_as_fresh(heads, [raw for raws in shapes for raw in raws], method)
    assert_judged_as_fresh(heads, [raw for raws in zip(*shapes, strict=False) for raw in raws])


@pytest.fixture
def judged(monkeypatch):
    """The heads that were judged, and not made from a shape."""
    seen: list[bytes] = []
    read = response.read

    def reading(raw: bytes, method: bytes, by: head.Rules) -> Response | Refused:
        seen.append(raw)
        return read(raw, method, by)

    monkeypatch.setattr(response, "read", reading)
    return seen


@pytest.mark.parametrize("raw", [raw for raw in RESPONSES if b"\r\n\r\n" in raw and len(raw) < LONGEST - 100])
@pytest.mark.parametrize("line", [b"X-Case: %d", b"Date: %d", b"Content-Length: %d"])
def test_every_answer_of_the_corpus_with_a_line_of_its_own(raw, line, judged):
    """Wherever the line stands: from the third on nobody judges it, unless it is refused or its length means something else."""
    for place in range(1, raw.count(b"\r\n")):
        heads = Heads(rules())
        for n in range(4):
            alike = named(raw, place, line % (n + 1))
            judged.clear()
            answer = heads.response(alike, b"GET")
            if line != b"Content-Length: %d":
                assert bool(judged) == (n < 2 or isinstance(answer, Refused)), alike
            for method in METHODS:
                assert heads.response(alike, method) == response.read(alike, method, heads.rules)


def answer(*lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"", b""))


def test_a_second_a_length_and_a_name_are_put_in_their_places(judged):
    heads = Heads(rules())
    for n in range(1, 9):
        lines = (b"Date: %d" % n, b"Server: a%b", b"Content-Length: %d" % n, b"X-Request-Id: %d%%d" % n)
        came = heads.response(answer(*lines), b"GET")
        assert came.head.startswith(b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(lines) + b"\r\nVia: ")
        assert came.length == n
        assert came.dated
    assert len(judged) == 2


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Type: text/%b" % kind for kind in (b"a", b"b", b"event-stream", b"c")],
        [b"Connection: %b" % option for option in (b"a", b"b", b"close", b"date")],
        [b"Content-Length: %b" % length for length in (b"1", b"2", b"3", b"0", b"4", b"04", b"4 4", b"1" * 18, b"1" * 19)],
        [b"Transfer-Encoding: %b" % coding for coding in (b"chunked", b"Chunked", b"gzip", b"chunked")],
        [b"Keep-Alive: timeout=5, max=%d" % left for left in range(9, 5, -1)],
    ],
)  # fmt: skip
def test_what_says_more_than_its_name_is_judged(lines):
    heads = Heads(rules())
    heads.response(answer(DATE), b"GET")
    assert_judged_as_fresh(heads, [answer(DATE, line) for line in lines * 2])


def test_a_length_that_no_body_has_is_no_part_of_a_shape():
    for status in (b"204", b"304", b"103"):
        heads = Heads(rules())
        assert_judged_as_fresh(
            heads, [b"HTTP/1.1 %b A\r\nContent-Length: %d\r\n\r\n" % (status, n) for n in range(1, 6)]
        )
