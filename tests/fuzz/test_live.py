"""The live fuzzer for a moment, and proof that it finds what it is there to find."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from sidecar.wire import body

from . import checks, live, messages
from .live import WELL, Arena, Example

GET = b"GET /t HTTP/1.1\r\nHost: up.test\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: up.test\r\n\r\n"


def test_a_door_keeps_its_promises_whatever_arrives() -> None:
    with Arena() as arena:

        @settings(max_examples=60)
        @given(live.examples())
        def holds(example: Example) -> None:
            arena.check(example)

        holds()


@pytest.mark.parametrize(
    ("stream", "outcome"),
    [
        (GET + GET, "200 open True"),
        (GET + b"POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "200,400 over False"),
        (b"GET /t HTTP/1.1\r\nHost: up.test\r\n", "400 over False"),
        (b"POST /operator/api/chat HTTP/1.1\r\nHost: a\r\nX-VX11-Token: right\r\nContent-Length: 2\r\n\r\n{}", "200 open True"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cuts", [[], [500], [-1]])
def test_what_an_example_comes_to_is_told(stream: bytes, outcome: str, cuts: list[int]) -> None:
    with Arena() as arena:
        assert arena.check(Example(stream, cuts, (WELL,), half=False)) == outcome


def test_a_connection_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.3)
    monkeypatch.setattr(live.Gateway, "data_received", lambda *_: None)  # never answers
    with Arena() as arena, pytest.raises(AssertionError, match="hangs"):
        arena.check(Example(GET, (), (WELL,), half=False))


@pytest.mark.parametrize(
    "arrived",
    [
        SMUGGLED,
        checks.relayed(GET).requests[0] + b"GET",
        checks.relayed(GET).requests[0].replace(b"Via: 1.1 ", b"Via: 1.0 "),
        checks.relayed(GET).requests[0] * 2,
    ],
)
def test_a_byte_too_many_at_the_gateway_is_found(arrived: bytes) -> None:
    with pytest.raises(AssertionError):
        live._only_what_may_pass([arrived], Example(GET, (), (WELL,), half=False), probed=False)


def test_a_lax_reader_of_chunks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body.Chunked, "_data_end", lambda self, *_: setattr(self, "_state", body.SIZE))
    with pytest.raises(AssertionError):
        checks.a_chunked_body((b"1\r\na\r\n0\r\n\r\n", []))


def test_pieces_are_the_whole() -> None:
    for cuts in ([], [0, 1_000], [500, 500, 1], [-1]):
        parts = messages.pieces(b"hello world", cuts)
        assert b"".join(parts) == b"hello world"
        assert all(parts)
