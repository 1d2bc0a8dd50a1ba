"""The cases of the WebSocket suite that no library would say: bad frames, odd handshakes, half-closed and lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from benchmarks.websocket_cases import Case, Run, bad_frames
from benchmarks.websocket_clients import Bare, Place, by_hand, masked
from benchmarks.websocket_peer import STREAM, frame

Hand = Callable[[Bare, Callable[..., str], list[Any]], Awaitable[None]]
BYE = masked(8, (1000).to_bytes(2, "big"))


def _hand(steps: Hand) -> Run:
    async def run(place: Place, target: Callable[..., str], told: list[Any]) -> None:
        async with by_hand(place) as bare:
            await steps(bare, target, told)

    return run


def _exchange(data: bytes, answers: int, *, end: bytes = BYE) -> Run:
    """Frames after the handshake, the frames that answer them, and then what comes until the server is done."""

    async def steps(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
        await bare.say(bare.handshake(target("/echo")))
        told.append(await bare.head())
        await bare.say(data)
        told.append(await bare.frames(answers))
        await bare.say(end)
        told.append(await bare.rest())

    return _hand(steps)


def _asked(head: Callable[[Bare, str], bytes]) -> Run:
    async def steps(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
        await bare.say(head(bare, target("/echo")))
        told.append(await bare.head())
        if told[-1][0].startswith("HTTP/1.1 101"):
            await bare.say(BYE)
        else:
            bare.half_close()
        told.append(await bare.rest())

    return _hand(steps)


async def _all_at_once(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
    await bare.say(bare.handshake(target("/echo")) + masked(1, b"early") + masked(2, b"birds"))
    told.append(await bare.head())
    told.append(await bare.frames(2))
    await bare.say(BYE)
    told.append(await bare.rest())


async def _piece_by_piece(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
    for byte in bare.handshake(target("/echo")):
        await bare.say(bytes([byte]))
    told.append(await bare.head())
    for byte in masked(1, b"slowly") + BYE:
        await bare.say(bytes([byte]))
        await asyncio.sleep(0)
    told.append((await bare.rest())[0][1] >= 0)


async def _with_the_head(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
    await bare.say(bare.handshake(target("/same-segment")))
    told.extend([await bare.head(), await bare.frames(1)])
    await bare.say(masked(1, b"heard"))
    bare.half_close()
    told.append(await bare.rest(telling_resets=True))


def _half(path: str, sent: bytes, *, first: bool) -> Hand:
    """One side says its last word and goes on listening."""

    async def steps(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
        await bare.say(bare.handshake(target(path)))
        told.append(await bare.head())
        if first:
            await bare.say(sent)
            bare.half_close()
            told.append(await bare.rest(telling_resets=True))
        else:
            told.append(await bare.rest(telling_resets=True))
            await bare.say(sent)
            bare.half_close()

    return steps


def _cut(path: str) -> Hand:
    async def steps(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
        await bare.say(bare.handshake(target(path)))
        told.append(await bare.head())
        told.append(len(await bare._reader.readexactly(70_000)))  # noqa: SLF001
        await bare.say(b"!")
        told.append(await bare.rest())

    return steps


async def _gone_within_a_frame(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
    await bare.say(bare.handshake(target("/echo")))
    told.append(await bare.head())
    await bare.say(masked(2, STREAM)[:70_000])
    bare.abort()


async def _refused_until_close(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
    await bare.say(bare.handshake(target("/refuse-until-close")))
    told.extend([await bare.head(), await bare.rest(telling_resets=True)])


async def _both_ways_at_once(bare: Bare, target: Callable[..., str], told: list[Any]) -> None:
    """More in flight than all buffers hold, in both directions."""
    await bare.say(bare.handshake(target("/mirror")))
    told.append(await bare.head())

    async def send() -> None:
        for _ in range(8):
            await bare.say(STREAM)
        bare.half_close()

    _, rest = await asyncio.gather(send(), bare.rest(telling_resets=True))
    told.append(rest)


def hand_cases() -> Iterator[Case]:
    def case(group: str, name: str, run: Run, peer: str = "echo", *, noted: bool = True) -> Case:
        return Case(group, f"by hand: {name}", peer, run, noted)

    for label, bad in bad_frames():
        opcode, size = bad[0], bad[1]
        if len(bad) == size + 2 and size < 126:
            again = masked(opcode & 15, bad[2:], fin=bool(opcode & 0x80), bits=opcode >> 4 & 7)
            yield case("bad frames to the server", label, _exchange(again, 1, end=b""))
    yield case("bad frames to the server", "not masked", _exchange(frame(1, b"bare"), 1, end=b""))
    yield case(
        "bad frames to the server",
        "invalid UTF-8 over two fragments",
        _exchange(masked(1, b"\xc3", fin=False) + masked(0, b"\xc3"), 1, end=b""),
    )
    yield case(
        "bad frames to the server",
        "a text within a text",
        _exchange(masked(1, b"a", fin=False) + masked(1, b"b"), 1, end=b""),
    )
    yield case(
        "oversize",
        "17 MiB announced",
        _exchange(masked(2, b"x")[:1] + b"\xff" + (17 << 20).to_bytes(8, "big") + b"mask", 1, end=b""),
    )
    yield case(
        "oversize", "2^62 bytes announced", _exchange(b"\x82\xff" + (1 << 62).to_bytes(8, "big") + b"mask", 1, end=b"")
    )
    pieces = (masked(1, b"one ", fin=False), masked(9, b"mid"), masked(0, b"two ", fin=False), masked(10, b"x"))
    three = b"".join((*pieces, masked(0, b"three")))
    yield case("fragments", "pings and pongs between them", _exchange(three, 2))
    empty = masked(1, b"", fin=False) + masked(0, b"", fin=False) * 50 + masked(0, b"end")
    yield case("fragments", "empty ones", _exchange(empty, 1))
    yield case("pings", "three ahead", _exchange(masked(9, b"1") + masked(9, b"2") + masked(9, b""), 3))
    yield case("pings", "unsolicited pong", _exchange(masked(10, b"what") + masked(1, b"ok"), 1))
    wide = b"\x82\xfe" + (5).to_bytes(2, "big") + b"\0\0\0\0" + b"short"
    yield case("echo", "a length wider than it needs to be", _exchange(wide, 1))
    yield case("handshake", "frames in the segment of the request", _hand(_all_at_once))
    yield case("handshake", "byte by byte", _hand(_piece_by_piece), noted=False)
    yield case("handshake", "a frame in the segment of the answer", _hand(_with_the_head), "bare")
    yield case(
        "handshake",
        "refused with a body that ends with the connection",
        _hand(_refused_until_close),
        "bare",
        noted=False,
    )
    for label, head in _heads():
        yield case("handshake", label, _asked(head), noted=False)
    yield case("half close", "the client first", _hand(_half("/half-closed-client", STREAM, first=True)), "bare")
    yield case("half close", "the server first", _hand(_half("/half-closed-server", STREAM, first=False)), "bare")
    yield case(
        "half close",
        "the server first, and reads slowly",
        _hand(_half("/both-half-closed-slow", STREAM * 4, first=False)),
        "bare",
    )
    yield case(
        "half close",
        "the client first, to a server that reads slowly",
        _hand(_half("/reads-slowly", STREAM * 4, first=True)),
        "bare",
    )
    yield case("half close", "8 MiB both ways at once", _hand(_both_ways_at_once), "bare")
    yield case("loss", "the server cuts within a frame", _hand(_cut("/cut-within-a-frame")), "bare")
    yield case("loss", "the server resets within a frame", _hand(_cut("/reset-within-a-frame")), "bare")
    yield case("loss", "the client goes within a frame", _hand(_gone_within_a_frame))


def _heads() -> Iterator[tuple[str, Callable[[Bare, str], bytes]]]:
    """Handshakes with something odd about them."""

    def changed(old: str, new: str) -> Callable[[Bare, str], bytes]:
        return lambda bare, target: bare.handshake(target).replace(old.encode(), new.encode())

    yield (
        "names in capitals",
        changed("Upgrade: websocket\r\nConnection: Upgrade", "UPGRADE: WebSocket\r\nCONNECTION: keep-alive, UPGRADE"),
    )
    yield "without a key", changed("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "")
    yield "a key too short", changed("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=")
    yield "version 8", changed("Version: 13", "Version: 8")
    yield "without a version", changed("Sec-WebSocket-Version: 13\r\n", "")
    yield "by POST", changed("GET ", "POST ")
    yield (
        "an extension nobody knows",
        changed(
            "Version: 13",
            "Version: 13\r\nSec-WebSocket-Extensions: x-unknown; a=1, permessage-deflate; client_no_context_takeover",
        ),
    )
    yield (
        "an extension over two lines",
        changed(
            "Version: 13",
            "Version: 13\r\nSec-WebSocket-Extensions: x-foo\r\nSec-WebSocket-Extensions: permessage-deflate",
        ),
    )
