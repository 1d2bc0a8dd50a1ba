"""Bodies: a body read in pieces is the body read whole, and framing never passes unjudged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.body import (
    BY_CHUNKS,
    BY_LENGTH,
    LONGEST_LINE,
    NOTHING,
    UNTIL_CLOSE,
    Body,
    Chunked,
    Length,
    UntilClose,
    reader,
)


def fed(body: Body, data: bytes, cuts: list[int] | None = None) -> bytes:
    out = b""
    at = 0
    for cut in [*sorted({min(cut, len(data)) for cut in cuts or []}), len(data)]:
        if body.done or body.refused:
            break
        out += body.feed(data[at:cut])
        at = cut
    if body.done:
        body.rest += data[at:]
    return out


@pytest.mark.parametrize(
    "wire",
    [
        b"zz\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n", b"-5\r\n", b"5 \r\nhello\r\n", b" 5\r\n", b"\r\n", b"5\nhello\r\n", b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n", b"6\r\nhello\r\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b"10000000000000005\r\nhello", b"ffffffffffffffff\r\n", b"0_5\r\nhello\r\n", b"5;a\rb\r\nhello\r\n",
        b"5;a\x00\r\nhello\r\n", b"5;\r\nhello\r\n", b"5;a=\r\nhello\r\n", b'5;a="b\r\nhello\r\n', b"0\r\nbroken\r\n\r\n", b"0\r\n folded: 1\r\n\r\n", b"0\r\nA : 1\r\n\r\n", b"0\r\nA: \x01\r\n\r\n",
        b"0\r\n" + b"A: b\r\n" * 101, b"0\r\nA: " + b"b" * 5000 + b"\r\n", b"5;" + b"a" * LONGEST_LINE, (b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 5, b"1\r\nx\rX\n",
    ],
)  # fmt: skip
@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_malformed_chunks(wire: bytes, cuts: list[int]):
    whole, pieces, single = Chunked(), Chunked(), Chunked()
    passed = fed(whole, wire)
    assert whole.refused
    assert not whole.done
    assert fed(pieces, wire, cuts) == passed
    assert pieces.refused == whole.refused
    if len(wire) < 1000:
        assert fed(single, wire, list(range(len(wire)))) == passed
        assert single.refused == whole.refused


@pytest.mark.parametrize(
    ("wire", "passed", "bare", "rest"),
    [
        (b"0\r\n\r\n", b"0\r\n\r\n", b"", b""),
        (b"5\r\nhello\r\n0\r\n\r\nGET", b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"GET"),
        (b'005;a=b ; c="d \\" e";f\r\nhello\r\n00;x\r\n\r\n', b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""),
        (
            b"A\r\n0123456789\r\n0\r\nX-T: 1\r\nx-t: 2\r\n\r\n",
            b"a\r\n0123456789\r\n0\r\nX-T: 1\r\nx-t: 2\r\n\r\n",
            b"0123456789",
            b"",
        ),
        (
            b"0\r\nContent-Length: 9\r\nHost: e\r\nX-VX11-Token: t\r\nX-Forwarded-For: 1\r\nX-T: 1\r\n\r\n",
            b"0\r\nX-T: 1\r\n\r\n",
            b"",
            b"",
        ),
    ],
)
def test_good_chunks(wire: bytes, passed: bytes, bare: bytes, rest: bytes):
    for step in (len(wire), 1, 2, 3):
        for want, body in ((passed, Chunked(drop=(b"x-vx11-token",))), (bare, Chunked(bare=True))):
            assert fed(body, wire, list(range(0, len(wire), step))) == want
            assert (body.done, body.refused, body.rest) == (True, None, rest)


def test_the_last_chunk_waits_for_its_trailers():
    body = Chunked()
    assert body.feed(b"1\r\nx\r\n0\r\nX-T: 1\r\n") == b"1\r\nx\r\n"
    assert body.feed(b"\r\n") == b"0\r\nX-T: 1\r\n\r\n"
    assert body.done


def test_a_size_passes_only_when_its_line_is_whole():
    body = Chunked()
    assert body.feed(b"5;ext") == b""
    assert body.feed(b"=1\r") == b""
    assert body.feed(b"\nhe") == b"5\r\nhe"
    data = b"llo"
    assert body.feed(data[:2]) == b"ll"
    assert body.feed(b"o\r") == b"o"
    assert body.feed(b"\n0\r\n\r\nrest") == b"\r\n0\r\n\r\n"
    assert body.rest == b"rest"


CHUNKS = st.lists(st.binary(min_size=1, max_size=60), max_size=8)
EXTENSIONS = st.sampled_from([b"", b";a", b';a="b;c"', b" ; a = b"])


@given(CHUNKS, st.data())
def test_any_split_of_chunks(chunks: list[bytes], data: st.DataObject):
    wire = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), data.draw(EXTENSIONS), chunk) for chunk in chunks) + b"0\r\n\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(wire) + 5), max_size=20))
    framed, bare = Chunked(), Chunked(bare=True)
    assert (
        fed(framed, wire + b"NEXT", cuts)
        == b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    )
    assert fed(bare, wire + b"NEXT", cuts) == b"".join(chunks)
    assert framed.done
    assert bare.done
    assert framed.rest == bare.rest == b"NEXT"


@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=10))
def test_any_bytes_are_judged_alike_in_any_pieces(wire: bytes, cuts: list[int]):
    whole, pieces = Chunked(), Chunked()
    assert fed(whole, wire) == fed(pieces, wire, cuts)
    assert (whole.done, whole.refused, whole.rest) == (pieces.done, pieces.refused, pieces.rest)


@given(st.binary(max_size=60), st.integers(0, 60), st.lists(st.integers(0, 60), max_size=6))
def test_length(data: bytes, length: int, cuts: list[int]):
    body = Length(length)
    assert fed(body, data, cuts) == data[:length]
    assert body.done == (len(data) >= length)
    assert body.rest == data[length:]


def test_until_close():
    body = UntilClose()
    assert body.feed(b"any") == b"any"
    assert not body.done


@pytest.mark.parametrize(
    ("framing", "length", "data", "passed", "rest"),
    [
        (NOTHING, 0, b"next", b"", b"next"),
        (BY_LENGTH, 4, b"bodynext", b"body", b"next"),
        (BY_CHUNKS, -1, b"4\r\nbody\r\n0\r\n\r\nnext", b"body", b"next"),
    ],
)
def test_a_framing_has_its_reader(framing, length, data, passed, rest):
    body = reader(framing, length, bare=True)
    assert (body.feed(data), body.done, body.rest) == (passed, True, rest)


def test_what_ends_with_the_connection_is_never_done():
    body = reader(UNTIL_CLOSE, -1)
    assert (body.feed(b"body"), body.done, body.rest) == (b"body", False, b"")
