"""What fuzzers send: well-built messages, cases of the corpus, and both of them bent, cut, spliced and piled up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from . import TESTS

Bytes = st.SearchStrategy[bytes]

LONGEST_SEED = 4_096  # giants of the corpus are about limits, which need no bending
CASES: list[dict[str, Any]] = [
    case for path in sorted((TESTS / "corpus").glob("*wire.json")) for case in json.loads(path.read_text())["cases"]
]
ALIASES: list[str] = [
    case["target"] for case in json.loads((TESTS / "corpus" / "path_aliases.json").read_text())["cases"]
]


def _seeds(key: str) -> tuple[bytes, ...]:
    found = {case[key].encode("latin-1") for case in CASES if key in case}
    return tuple(sorted(one for one in found if len(one) <= LONGEST_SEED))


REQUESTS = _seeds("request")
ANSWERS = (*_seeds("up_reply"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
BODIES = (
    b"5\r\nhello\r\n0\r\n\r\n",
    b"1\r\na\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n",
    b'5;a=b;c="d\\"e"\r\nhello\r\n000\r\n\r\nGET / HTTP/1.1\r\n',
    b"A ; x = y\r\n0123456789\r\n0;last\r\nA: \r\nVia: 1.1 x\r\n\r\n",
    b"ffffffffffffffff\r\n",
    (b"1;" + b"a" * 90 + b"\r\nx\r\n") * 250 + b"0\r\n\r\n",  # and what is beyond each limit
    b"1;" + b"a" * 4_093 + b"\r\nx\r\n0;" + b"a" * 4_096 + b"\r\n\r\n",
    b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    b"0\r\n" + (b"A: " + b"b" * 4_088 + b"\r\n") * 5 + b"\r\n",
    b"0\r\nA: " + b"b" * 4_094 + b"\r\n\r\n",
    *(seed.partition(b"\r\n\r\n")[2] for seed in REQUESTS if b"chunked" in seed.lower()),
)

TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"%", b"%0a", b"%2f", b"#", b"?", b"//", b"/../", b"\x80", b"\xff",
    b"0\r\n\r\n", b"0", b"5", b"-1", b"+5", b"0x5", b"00005", b"5, 5", b"ffffffffffffffff", b"chunked", b"Chunked", b"gzip, chunked",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length:5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:\r\n",
    b"Transfer-Encoding : chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive, X-A\r\n", b"Connection: Content-Length\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", b"Host: a\r\n", b"Host: b:80\r\n", b"Host: [::1]:8\r\n",
    b"Expect: 100-continue\r\n", b"Max-Forwards: 0\r\n", b"Max-Forwards: 7\r\n", b"Via: 1.1 elsewhere\r\n", b"Via: 1.1 vx11-sidecar-0123abcd\r\n",
    b"X-VX11-Token: right\r\n", b"x-vx11-token: wrong\r\n", b"X-Forwarded-For: 10.0.0.1\r\n", b"Forwarded: for=1\r\n", b"TE: trailers\r\n",
    b"Trailer: X-Sum\r\n", b" folded\r\n", b"X-A: 1\r\n", b"User-Agent: curl/8\r\n", b"user-agent:\r\n", b"Keep-Alive: 5\r\n", b"Content-Encoding: gzip\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/0.9",
    b"HTTP/2.0", b"GET ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"TRACE ", b"GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n",
    b"POST /operator/api/chat HTTP/1.1\r\nHost: s\r\nContent-Length: 2\r\n\r\n{}", b"http://h/x", b"https://u:p@h/x", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n", b"a" * 300,
)  # fmt: skip
FIELDS = tuple(token for token in TOKENS if token.endswith(b"\r\n") and b":" in token and not token.startswith(b"HTTP"))
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"FROB", b"post", b"CONNECT", b"M" * 33)
TARGETS = (
    b"/", b"/t", b"/t?q=1", b"*", b"/operator/api/chat", b"/operator/api/v1/chat", b"/operator/api/chat%0a", b"/OPERATOR/api//chat/", b"/debug/x",
    b"/operator/api/chat/commands", b"http://other/t", b"http://[::1]/t", b"http://[::g]/t", b"http://other", b"/%7e\xc3\xb1", b"/operator/%61pi/chat?token=x",
)  # fmt: skip


def chunked(pieces: Sequence[bytes], extension: bytes, trailers: bytes) -> bytes:
    """A body in chunks, as it should be."""
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece)
    return body + b"0" + extension + b"\r\n" + trailers + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request, built by the rules, at times with a field too many."""
    body = draw(st.binary(max_size=40))
    framing = draw(st.sampled_from(("none", "length", "chunks")))
    lines = b"".join(draw(st.lists(st.sampled_from(FIELDS), max_size=3)))
    head = b"%s %s HTTP/1.%d\r\nHost: up.test\r\n" % (
        draw(st.sampled_from(METHODS)),
        draw(st.sampled_from(TARGETS)),
        draw(st.sampled_from((1, 1, 1, 0))),
    )
    if framing == "length":
        return head + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunks":
        pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
        extension = draw(st.sampled_from((b"", b"", b";a", b';a="b c"')))
        trailers = draw(st.sampled_from((b"", b"", b"X-Sum: 1\r\n", b"Content-Length: 9\r\nX-B: 2\r\n")))
        return head + lines + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(pieces, extension, trailers)
    return head + lines + b"\r\n"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """One answer, built by the rules, at times with a field too many."""
    body = draw(st.binary(max_size=40))
    status = draw(
        st.sampled_from((b"200 OK", b"200 OK", b"404 ", b"204 No Content", b"304 Not Modified", b"426 Upgrade"))
    )
    lines = b"".join(draw(st.lists(st.sampled_from(FIELDS), max_size=2)))
    head = draw(st.sampled_from((b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"))) + b"HTTP/1.1 " + status
    framing = draw(st.sampled_from(("none", "length", "chunks")))
    if framing == "length":
        return head + b"\r\n" + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunks":
        return head + b"\r\n" + lines + b"Transfer-Encoding: chunked\r\n\r\n" + chunked((body,), b"", b"")
    return head + b"\r\n" + lines + b"\r\n" + body


def _bend(data: bytes, how: str, at: int, size: int, word: bytes) -> bytes:
    at = at * len(data) // 1_000  # thousandths, so that the place keeps its meaning while an example shrinks
    if how == "flip":
        return data[:at] + bytes(byte ^ (1 << size % 8) for byte in data[at : at + 1]) + data[at + 1 :]
    if how == "insert":
        return data[:at] + word + data[at:]
    if how == "replace":
        return data[:at] + word + data[at + len(word) :]
    if how == "delete":
        return data[:at] + data[at + size :]
    if how == "repeat":
        return data[:at] + data[at : at + size] + data[at:]
    if how == "field":  # where a line begins
        line = data.find(b"\r\n", at) + 2
        return data[:line] + word + data[line:] if line > 1 else data + word
    return data[:at]  # cut


BENDS = st.tuples(
    st.sampled_from(("flip", "insert", "replace", "delete", "repeat", "field", "field", "cut")),
    st.integers(0, 1_000),
    st.integers(1, 64),
    st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=4),
)


def bent(seeds: Bytes, *, most: int = 4, piled: int = 3) -> Bytes:
    """Some of ``seeds`` in a row, with up to ``most`` mutations."""

    def bend(parts: tuple[list[bytes], list[tuple[str, int, int, bytes]]]) -> bytes:
        data = b"".join(parts[0])
        for how, at, size, word in parts[1]:
            data = _bend(data, how, at, size, word)
        return data

    return st.tuples(st.lists(seeds, min_size=1, max_size=piled), st.lists(BENDS, max_size=most)).map(bend)


def streams(pool: Sequence[bytes] = REQUESTS, *, most: int = 4) -> Bytes:
    return bent(requests() | st.sampled_from(pool), most=most)


def heads(pool: Sequence[bytes] = REQUESTS) -> Bytes:
    """What a door would take for one head: it ends where the first empty line does."""
    return bent(requests() | st.sampled_from(pool), piled=1).map(
        lambda data: data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    )


def bodies(pool: Sequence[bytes] = BODIES) -> Bytes:
    """Chunked bodies and what follows them."""
    built = st.builds(
        chunked,
        st.lists(st.binary(min_size=1, max_size=30), max_size=4),
        st.sampled_from((b"", b";a=b", b' ; a = "\\"\xff"')),
        st.sampled_from((b"", b"X: 1\r\n", b"Host: x\r\nX-VX11-Token: y\r\nZ:\r\n")),
    )
    return bent(built | st.sampled_from(pool), piled=2)


def replies(pool: Sequence[bytes] = ANSWERS) -> Bytes:
    return bent(answers() | st.sampled_from(pool), piled=1)


def targets(pool: Sequence[bytes] = ()) -> Bytes:
    """Spellings of the chat path, and of what looks like it."""
    seeds = st.sampled_from((*(one.encode("latin-1") for one in ALIASES), *TARGETS, *pool))
    return bent(seeds | st.binary(max_size=12), piled=1) | st.builds(_spelled, st.lists(st.integers(0, 5), max_size=24))


def _spelled(ways: list[int]) -> bytes:
    """The chat path with some of its bytes written otherwise."""
    spell: tuple[Callable[[int], bytes], ...] = (
        lambda byte: bytes((byte,)),
        lambda byte: bytes((byte,)),
        lambda byte: b"%%%02x" % byte,
        lambda byte: b"%%%02X" % byte,
        lambda byte: b"%%25%02x" % byte,
        lambda byte: bytes((byte,)).upper(),
    )
    path = b"/operator/api/chat"
    return b"".join(spell[ways[at % len(ways)] if ways else 0](byte) for at, byte in enumerate(path))


def frames() -> Bytes:
    """Frames of a WebSocket, of every way to tell a length, and what is none."""

    def frame(first: int, size: int, mask: bool, way: int) -> bytes:
        told = (bytes((size,)), b"\x7e" + size.to_bytes(2, "big"), b"\x7f" + size.to_bytes(8, "big"))[way]
        return bytes((first, told[0] | (0x80 if mask else 0))) + told[1:] + (b"mask" if mask else b"") + b"x" * size

    built = st.builds(frame, st.integers(0, 255), st.integers(0, 125), st.booleans(), st.integers(0, 2))
    return bent(built | st.binary(min_size=1, max_size=12), piled=5, most=2)


TRACEPARENTS = st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]{0,9})?\Z") | st.text(
    max_size=60
)
TRACESTATES = st.text(max_size=30) | st.just("a=b,c=d") | st.just("x" * 600)

CUTS = st.lists(st.integers(0, 1_000), max_size=6) | st.just([-1])  # thousandths; -1 is every byte by itself


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """``data`` in the pieces that ``cuts`` make of it, none of them empty."""
    if list(cuts) == [-1]:
        return [data[at : at + 1] for at in range(len(data))]
    edges = sorted({0, len(data), *(cut * len(data) // 1_000 for cut in cuts if cut >= 0)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]
