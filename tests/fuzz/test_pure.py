"""Each pure fuzzer for a moment, and proof that its judges can tell right from wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from . import oracles, reading, routing
from .campaign import PURE, Fuzzer


@pytest.mark.parametrize("fuzzer", PURE, ids=lambda fuzzer: fuzzer.name)
def test_nothing_that_arrives_breaks_what_must_hold(fuzzer: Fuzzer) -> None:
    @settings(max_examples=150)
    @given(fuzzer.examples(()))
    def holds(example: Any) -> None:
        fuzzer.check(example)

    holds()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\nA : 1\r\n\r\n", "token"),
        (b"GET / HTTP/1.1\nA: 1\r\n\r\n", "bare line end"),
        (b"GET /  HTTP/1.1\r\n\r\n", "request line"),
        (b"GET / HTTP/2.0\r\n\r\n", "version"),
        (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", "control byte"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "framing"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "length"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", "no line end after a chunk"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", "chunk extension"),
        (b'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0;a="b\r\n\r\n', "quoted string"),
    ],
)
def test_the_second_reader_finds_wrong_what_is_wrong(data: bytes, why: str) -> None:
    assert reading.requests(data) == ([], data, why)


def test_the_readers_of_other_people_find_the_same_messages() -> None:
    stream = (
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n"
        b"PUT /b?c HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
        b"GET /c HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    expected = [(b"POST", b"/a", b"abcde"), (b"PUT", b"/b?c", b"hi"), (b"GET", b"/c", b"")]
    assert oracles.by_h11(stream) == oracles.by_aiohttp(stream) == expected
    assert [(*one.first[:2], one.body) for one in reading.requests(stream).messages] == expected
    assert oracles.by_h11(b"GET / HTTP/1.1\r\n\r\n") is None  # no Host
    assert oracles.by_aiohttp(b"GET / HTTP/1.1\r\nA\r\n\r\n") is None


@pytest.mark.parametrize(
    "target",
    [
        "/operator/api/chat", "/operator/api/chat?x", "/operator%2fapi/c%68at", "/operator/api/chat%0a", "/operator/api/v1/chat",
        "http://x/operator/api/chat", "wss://u@x/operator/api/chat%0a?x", "/operator/api/chat#x",
    ],
)  # fmt: skip
def test_the_model_of_the_gateway_finds_its_chat_handler(target: str) -> None:
    assert routing.reaches_chat(target.encode())


@pytest.mark.parametrize(
    "target", ["/operator/api/chat/", "/operator/api/CHAT", "//operator/api/chat", "/operator/api/chat%0a%0a", "/", "*"]
)
def test_the_model_of_the_gateway_takes_no_lookalike_for_it(target: str) -> None:
    assert not routing.reaches_chat(target.encode())
