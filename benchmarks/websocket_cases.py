"""The cases of the WebSocket suite that both libraries can say: what is said, and what is looked at."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.websocket_clients import CLIENTS, Conversation, Place, RefusedError
from benchmarks.websocket_peer import frame

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20)
LARGE = 8 << 20
CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 4001, 4999)
DEFLATES = ("", "takeover", "no takeover")

Run = Callable[[Place, Callable[..., str], list[Any]], Awaitable[None]]


class Case(NamedTuple):
    """``run`` takes a place, what makes a target that bears the case's key, and a list for what the client sees."""

    group: str
    name: str
    peer: str  # echo or bare
    run: Run
    noted: bool = True  # the server takes notes of it


Say = Callable[[Conversation, list[Any]], Awaitable[None]]


def _with(opened: Any, path: str, say: Say, query: dict[str, str] | None = None, **options: Any) -> Run:
    async def run(place: Place, target: Callable[..., str], told: list[Any]) -> None:
        try:
            async with opened(place, target(path, **(query or {})), **options) as conversation:
                told.append(conversation.shaken)
                await say(conversation, told)
        except RefusedError as error:
            told.append(("refused", *error.args))

    return run


async def _nothing(conversation: Conversation, told: list[Any]) -> None:
    told.append(await conversation.close(1000, ""))


async def _until_closed(conversation: Conversation, told: list[Any]) -> None:
    while True:
        told.append(await conversation.receive())
        if told[-1][0] == "closed":
            return


def _echoed(*messages: Any) -> Say:
    async def say(conversation: Conversation, told: list[Any]) -> None:
        for message in messages:
            await conversation.send(message)
            told.append(await conversation.receive())
        told.append(await conversation.close(1000, "done"))

    return say


async def _many(conversation: Conversation, told: list[Any]) -> None:
    """A hundred sent before one is read."""
    for number in range(100):
        await conversation.send(f"message {number} " * number)
    for _ in range(100):
        told.append(await conversation.receive())  # noqa: PERF401
    told.append(await conversation.close(1000, ""))


async def _pings(conversation: Conversation, told: list[Any]) -> None:
    told.append(await conversation.ping(b""))
    told.append(await conversation.ping(b"p" * 125))
    await conversation.pong(b"nobody asked")
    await conversation.send("still here")
    told.append(await conversation.receive())
    told.append(await conversation.close(1000, ""))


def _pinged(messages: int) -> Say:
    """The server pings within a fragmented message, and after it."""

    async def say(conversation: Conversation, told: list[Any]) -> None:
        for _ in range(messages):
            told.append(await conversation.receive())  # noqa: PERF401
        await conversation.send("heard")
        while told[-1][0] != "text" or told[-1][1] != 5:
            told.append(await conversation.receive())
        told.append(await conversation.close(1000, ""))

    return say


def _closing(code: int, reason: str) -> Say:
    async def say(conversation: Conversation, told: list[Any]) -> None:
        await conversation.send("before the end")
        told.append(await conversation.receive())
        told.append(await conversation.close(code, reason))

    return say


async def _abort(conversation: Conversation, told: list[Any]) -> None:
    await conversation.send("and gone")
    told.append(await conversation.receive())
    conversation.abort()


async def _aborted(conversation: Conversation, told: list[Any]) -> None:
    await conversation.send("the last")
    told.append((await conversation.receive())[:2])


def bad_frames() -> Iterator[tuple[str, bytes]]:
    """What a receiver must refuse, not masked."""
    for bit in (1, 2, 4, 7):
        yield f"reserved bits {bit}", frame(1, b"text", bits=bit)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"reserved opcode {opcode}", frame(opcode, b"what")
    yield "invalid UTF-8", frame(1, b"ca\xf1\xf3n")
    yield "UTF-8 cut at the end", frame(1, "ñ".encode()[:1])
    yield "UTF-8 of a surrogate", frame(1, b"\xed\xa0\x80")
    yield "invalid UTF-8 over two fragments", frame(1, b"ca\xc3", fin=False) + frame(0, b"\xc3")
    yield "ping of 126 bytes", frame(9, b"p" * 126)
    yield "ping in fragments", frame(9, b"p", fin=False)
    yield "continuation of nothing", frame(0, b"more")
    yield "text within a fragmented text", frame(1, b"one", fin=False) + frame(1, b"two")
    yield "close with one byte", frame(8, b"\x03")
    yield "close with code 999", frame(8, (999).to_bytes(2, "big"))
    yield "close with code 1005", frame(8, (1005).to_bytes(2, "big"))
    yield "close with code 1006", frame(8, (1006).to_bytes(2, "big"))
    yield "close with code 5000", frame(8, (5000).to_bytes(2, "big"))
    yield "close with a reason that is no UTF-8", frame(8, (1000).to_bytes(2, "big") + b"\xff")


def library_cases(sizes: Sequence[int]) -> Iterator[Case]:
    for name, opened in CLIENTS.items():
        yield from _messages(name, opened, sizes)
        yield from _closings(name, opened)
        yield from _handshakes(name, opened)
        for label, bad in bad_frames():
            run = _with(opened, "/bytes", _until_closed, {"hex": bad.hex()})
            yield Case("bad frames to the client", f"{name}: {label}", "echo", run)
    run = _with(CLIENTS["websockets"], "/bytes", _until_closed, {"hex": frame(1, b"text", mask=b"mask").hex()})
    yield Case("bad frames to the client", "websockets: masked", "echo", run)  # the other one takes it


def _messages(name: str, opened: Any, sizes: Sequence[int]) -> Iterator[Case]:
    for deflate in DEFLATES if name == "websockets" else DEFLATES[:2]:  # the other one cannot offer it
        label = f"deflate, {deflate}" if deflate else "plain"
        for size in sizes:
            say = _echoed("ñ" * (size // 2) + "t" * (size % 2))
            yield Case("echo", f"{name}: text of {size}, {label}", "echo", _with(opened, "/echo", say, deflate=deflate))
            say = _echoed((bytes(range(256)) * (size // 256 + 1))[:size])
            yield Case(
                "echo", f"{name}: binary of {size}, {label}", "echo", _with(opened, "/echo", say, deflate=deflate)
            )
        say = _echoed(*(["the same again and again"] * 10))
        yield Case("echo", f"{name}: ten alike, {label}", "echo", _with(opened, "/echo", say, deflate=deflate))
        yield Case("echo", f"{name}: a hundred ahead, {label}", "echo", _with(opened, "/echo", _many, deflate=deflate))
        say = _echoed(["one ", "", "two ", "x" * 70_000], [b"\x00", b"\xff" * 126])
        yield Case("fragments", f"{name}: {label}", "echo", _with(opened, "/fragments", say, deflate=deflate))
    yield Case("pings", f"{name}: the client pings, and sends a pong", "echo", _with(opened, "/echo", _pings))
    heard = 1 if name == "websockets" else 4  # whether pings are seen
    yield Case("pings", f"{name}: the server pings within fragments", "echo", _with(opened, "/pinged", _pinged(heard)))
    small = _with(opened, "/big", _until_closed, {"size": "70000"}, most=65_536)
    yield Case("oversize", f"{name}: more than the client takes", "echo", small)


def _closings(name: str, opened: Any) -> Iterator[Case]:
    for code, reason in itertools.product(CODES, ("", "bien, adiós", "r" * 123)):
        label = f"{name}: {code}, {len(reason.encode())} bytes of reason"
        yield Case("close by the client", label, "echo", _with(opened, "/echo", _closing(code, reason)))
        server = _with(opened, "/close", _until_closed, {"code": str(code), "reason": reason})
        yield Case("close by the server", label, "echo", server)
    yield Case("loss", f"{name}: the client is gone", "echo", _with(opened, "/echo", _abort))
    yield Case("loss", f"{name}: the server is gone", "echo", _with(opened, "/abort", _aborted))


def _handshakes(name: str, opened: Any) -> Iterator[Case]:
    for offered in ((), ("vx11.v1",), ("other", "vx11.v1", "vx11.v2"), ("other",)):
        run = _with(opened, "/echo", _nothing, protocols=offered)
        yield Case("handshake", f"{name}: subprotocols {', '.join(offered) or 'none'}", "echo", run)
    for status in (200, 302, 400, 401, 403, 404, 426, 500, 503):
        run = _with(opened, "/refuse", _nothing, {"status": str(status)})
        yield Case("handshake", f"{name}: refused with {status}", "echo", run)
    odd = [
        ("Cookie", 'session=abc; other="quoted"'), ("Origin", "http://localhost:5173"), ("X-VX11-Token", "benchmark-token"),
        ("X-lower-AND-Upper", "kept"), ("X-Twice", "1"), ("X-Twice", "2"), ("X-Empty", ""), ("Authorization", "Bearer x"),
    ]  # fmt: skip
    yield Case("handshake", f"{name}: cookies and odd fields", "echo", _with(opened, "/odd", _nothing, headers=odd))
    query = {"client_id": "a b/ñ", "token": "%2F+?"}
    yield Case("handshake", f"{name}: a query", "echo", _with(opened, "/echo", _nothing, query))
    yield Case("handshake", f"{name}: a 101 for another nonce", "bare", _with(opened, "/wrong-accept", _nothing))
