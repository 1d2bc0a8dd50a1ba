"""Chat that is observed passes as if nobody looked: the same bytes, the same ends, to client and gateway."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest
from lookout import HANG_UP, converse, look, observed, relaying, words
from loopback import OK, Gateway, get, one_answer, post, serving, stage, talk
from test_exchange import Closing, meet_the_closing

from sidecar.core.fact import ChatObserved, ChatServed, RelayEnded
from sidecar.core.value import replace
from sidecar.edge.data.observing import told_peer
from sidecar.edge.data.witness import Memory
from sidecar.wire.head import rules as rules_of
from sidecar.wire.request import read
from sidecar.wire.target import Routes

LOOPS = ("asyncio", "uvloop")
HOLA = json.dumps({"message": "hola", "session_id": "s"}).encode()
DEGRADED = json.dumps({"response": "no", "fallback_source": "local_llm_degraded", "degraded": True}).encode()
CLOSE = "Connection: close"


def http(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body: bytes, *fields: str, size: int = 7, extension: str = "") -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension.encode(), piece) for piece in pieces)
    lines = [
        "POST /operator/api/chat HTTP/1.1",
        "Host: h",
        "Transfer-Encoding: chunked",
        "X-VX11-Token: right",
        *fields,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + framed + b"0\r\nX-Sum: 1\r\n\r\n"


LARGE = json.dumps({"message": "x" * 3_000_000}).encode()
ANSWERS: dict[str, bytes] = {
    "length": http(DEGRADED),
    "chunks": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n{"a":\r\n2\r\n1}\r\n0\r\nX-T: 1\r\n\r\n',
    "until the end": b"HTTP/1.0 200 OK\r\n\r\n" + DEGRADED,
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + http(DEGRADED),
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an error": http(b"oops", "500 Internal Server Error", "Content-Type: text/plain"),
    "coded": http(b"\x1f\x8b\x08", "200 OK", "Content-Encoding: gzip"),
    "large": http(b"y" * 400_000),
    "cut short": b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"degraded"',
    "no HTTP": b"\x15\x03\x01\x00\x02\x02\x46",
    "more than was asked for": http(DEGRADED) + b"HTTP/1.1 200 OK\r\n\r\n",
}  # fmt: skip
REQUESTS: dict[str, list[bytes | float]] = {
    "length": [post(body=HOLA)],
    "byte by byte": [bytes([byte]) for byte in post(body=HOLA)],
    "chunks": [chunked(HOLA, extension=';a="b"')],
    "no token": [post(body=HOLA, token=None)],
    "wrong token": [post(body=HOLA, token=b"wrong")],
    "no JSON": [post(body=b"{")],
    "no body": [b"POST /operator/api/chat HTTP/1.1\r\nHost: h\r\n\r\n"],
    "too long": [post(body=json.dumps({"message": "x" * 4_001}).encode())],
    "too large": [post(body=LARGE)],
    "too large in chunks": [chunked(LARGE, size=60_000)],
    "expecting": [post("/operator/api/chat", HOLA, "Expect: 100-continue")],
    "1.0": [b"POST /operator/api/chat HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(HOLA), HOLA)],
    "upgrade": [
        b"POST /operator/api/chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-VX11-Token: right\r\n\r\n"
    ],
    "alias": [post("/operator/api/chat/", HOLA)],
    "commands": [post("/operator/api/chat/commands", b'{"command":"message","message":"hola"}', token=None)],
    "odd spelling": [post("/operator/api/ch%61t?x=1", HOLA)],
    "a control character": [post("/operator/api/chat%0a", HOLA)],
    "pipelined": [post(body=HOLA) + get("/t") + chunked(HOLA) + post(body=HOLA, token=None) + post("/other", b"x" * 50)],
    "bad chunk": [chunked(HOLA)[:-20] + b"zz\r\n"],
    "left in the body": [post(body=HOLA)[:-5], 0.02, HANG_UP],
    "left in the answer": [post(body=HOLA), HANG_UP],
    "not chat at all": [get("/x")],
}  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
async def test_whatever_the_gateway_says_passes_as_if_nobody_looked(answer):
    async def conversation(mode):
        gateway = Gateway()
        gateway.reply, gateway.close = ANSWERS[answer], True
        return await converse(mode, [post("/operator/api/chat", HOLA, CLOSE)], gateway)

    (plain, quiet), (seen, facts) = await conversation("off"), await conversation("shadow")
    assert seen == plain
    assert seen.asked == 1
    assert not any(isinstance(fact, ChatObserved) for fact in quiet)
    assert [fact.would for fact in facts if isinstance(fact, ChatObserved)] == ["pass"]
    assert [relay(fact) for fact in facts if isinstance(fact, RelayEnded)] == [relay(fact) for fact in quiet]


def relay(fact: RelayEnded) -> RelayEnded:
    return replace(fact, at=0.0, seconds=0.0)


@pytest.mark.parametrize("request_", REQUESTS)
async def test_whatever_a_client_sends_passes_as_if_nobody_looked(request_):
    async def conversation(mode):
        gateway = Gateway()
        gateway.reply = http(DEGRADED)
        pieces = [*REQUESTS[request_], 0.05, get("/last", CLOSE)]
        return await converse(mode, pieces, gateway)

    (plain, quiet), (seen, facts) = await conversation("off"), await conversation("shadow")
    assert seen == plain
    assert [relay(fact) for fact in facts if isinstance(fact, RelayEnded)] == [
        relay(fact) for fact in quiet if isinstance(fact, RelayEnded)
    ]


async def test_random_pieces_of_random_chats_pass_as_if_nobody_looked():
    rng = Random(11)
    wire = b""
    for n in range(40):
        body = json.dumps({"message": "m" * rng.randrange(3000), "session_id": str(n % 3)}).encode()
        wire += rng.choice((chunked(body, size=rng.choice((1, 5, 4096))), post(body=body), post("/r", body), get("/g")))
    wire += get("/last", CLOSE)
    pieces: list[bytes | float] = []
    while wire:
        size = rng.choice((1, 3, 700, 20_000))
        pieces, wire = [*pieces, wire[:size]], wire[size:]

    async def conversation(mode):
        return await converse(mode, pieces, Gateway(lambda head, body: http(b'{"n":%d}' % len(body))))

    (plain, _), (seen, facts) = await conversation("off"), await conversation("shadow")
    assert seen == plain
    assert seen.end == "closed"
    assert seen.asked == 41
    assert len([fact for fact in facts if isinstance(fact, ChatObserved)]) > 10


async def test_a_client_that_reads_slowly_holds_the_gateway_back_as_before():
    async def read_late(mode):
        gateway = Gateway()
        gateway.reply = http(b"z" * 8_000_000)
        async with serving(gateway) as upstream, relaying(upstream, mode) as (port, _):
            reader, writer = await port.connect()
            writer.transport.pause_reading()
            writer.write(post(body=HOLA))
            await port.until(lambda: port.data_port._doors and next(iter(port.data_port._doors))._writing_paused)
            leg = next(iter(port.data_port._doors))._leg
            assert leg.progress > 0
            writer.transport.resume_reading()
            status, _, body = await one_answer(reader)
            writer.close()
            return status, len(body)

    assert await read_late("shadow") == await read_late("off") == (200, 8_000_000)


async def test_a_gateway_that_reads_slowly_holds_the_client_back_as_before():
    async def sleepy(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        await reader.readexactly(len(LARGE))
        writer.write(OK)

    async with serving(sleepy, limit=1024) as upstream, relaying(upstream) as (port, _):
        out, _ = await talk(port.port, post(body=LARGE), patience=5, enough=lambda out: out.endswith(b"ok"))
        assert out.startswith(b"HTTP/1.1 200")
        assert words(port) == [("chat", "too_large", "unreadable", 200)]


async def test_a_chat_that_met_a_closing_connection_goes_out_once_more_and_counts_once():
    gateway = Closing()
    async with serving(gateway) as upstream, relaying(upstream) as (port, memory):
        gateway.reply = http(DEGRADED)
        status, _ = await meet_the_closing(port, gateway, post(body=HOLA))
        assert status == 200
        assert gateway.done[1][1] == HOLA
        await port.until(lambda: observed(port))
        assert words(port) == [("chat", "pass", "degraded", 200)]
        assert memory.copies == 0


async def test_nothing_is_refused_that_would_have_passed():
    gateway = Gateway()
    async with serving(gateway) as upstream, relaying(upstream) as (port, _):
        for n in range(30):  # rate limits are judged and not enforced
            out, _ = await talk(port.port, post("/operator/api/chat", HOLA, CLOSE), patience=2)
            assert out.startswith(b"HTTP/1.1 200"), n
    assert len(gateway.done) == 30
    assert [fact.would for fact in observed(port)] == ["pass"] * 10 + ["rate_limited"] * 20


async def test_from_looking_to_answering_and_to_not_looking_without_losing_a_chat():
    gateway = Gateway()
    gateway.reply = http(DEGRADED)
    async with serving(gateway) as upstream, stage(upstream) as port:
        enforced = port.data_port.terms
        memory = Memory()
        reader, writer = await port.connect()
        for turn in range(30):
            mode = ("enforce", "shadow", "off")[turn % 3]
            if mode == "enforce":
                port.data_port.terms = enforced
            else:
                look(port, memory, mode)
            writer.write(post(body=HOLA))
            status, _, body = await one_answer(reader)
            assert status == 200
            assert (b'"chat"' in body) is (mode == "enforce")
        writer.close()
    assert len(observed(port)) == 10
    assert len(gateway.done) == 20
    assert not [fact for fact in port.facts if isinstance(fact, ChatServed)]


@pytest.mark.parametrize("before", ["shadow", "off"])
async def test_a_chat_under_way_ends_as_it_began(before):
    go = asyncio.Event()

    async def gateway(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        await reader.readexactly(len(HOLA))
        writer.write(http(DEGRADED))
        assert b"/operator/api/chat " in head
        await reader.read()

    async with serving(gateway) as upstream, relaying(upstream, before) as (port, memory):
        reader, writer = await port.connect()
        request = post(body=HOLA)
        writer.write(request[:-4])
        await port.until(lambda: port.relay.unanswered)
        look(port, memory, "off" if before == "shadow" else "shadow")
        writer.write(request[-4:])
        go.set()
        status, _, _ = await one_answer(reader)
        writer.close()
        assert status == 200
        assert [fact.would for fact in observed(port)] == (["pass"] if before == "shadow" else [])


@pytest.mark.parametrize(
    ("fields", "trusted", "peer"),
    [
        ((), False, "9.9.9.9"),
        (("X-Forwarded-For: 1.1.1.1",), False, "9.9.9.9"),
        (("X-Forwarded-For: 1.1.1.1, 2.2.2.2",), True, "2.2.2.2"),
        (("X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 3.3.3.3"), True, "3.3.3.3"),
        (("X-Forwarded-For: 1.1.1.1,",), True, "9.9.9.9"),
        ((), True, "9.9.9.9"),
    ],
)
def test_who_asks_is_who_would_be_counted(fields, trusted, peer):
    rules = rules_of(Routes(()), pseudonym=b"p", authority=b"a")
    asked = read("\r\n".join(["POST /x HTTP/1.1", "Host: h", *fields, "", ""]).encode(), rules)
    assert told_peer(asked, asked.outgoing(b"9.9.9.9", trusted=trusted)) == peer


# Tunnels and silence.


async def echoing(reader, writer):
    """Switches, and says everything again; ends when the other side does."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
    while data := await reader.read(65_536):
        writer.write(data)


UPGRADE = b"POST /operator/api/chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: other\r\nX-VX11-Token: right\r\n\r\n"


@pytest.mark.parametrize("mode", ["off", "shadow"])
@pytest.mark.parametrize("ends", ["client's side", "client", "everybody"])
async def test_a_tunnel_on_the_path_of_chat_is_a_tunnel(mode, ends):
    async with serving(echoing) as upstream, relaying(upstream, mode) as (port, memory):
        reader, writer = await port.connect()
        writer.write(UPGRADE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert memory.copies == 0  # it is over for whoever looked on
        writer.write(b"x" * 300_000)
        assert await reader.readexactly(300_000) == b"x" * 300_000
        if ends == "client's side":
            writer.write_eof()
            assert await reader.read() == b""
        elif ends == "client":
            writer.close()
        else:
            await port.data_port.drain(0)
        await port.until(lambda: not len(port.data_port))
        writer.close()
        await port.until(lambda: any(isinstance(fact, RelayEnded) for fact in port.facts))
        assert [fact.kind for fact in port.facts if isinstance(fact, RelayEnded)] == ["websocket"]
        assert words(port) == ([("chat", "invalid", "unreadable", None)] if mode == "shadow" else [])


@pytest.mark.parametrize("mode", ["off", "shadow"])
async def test_a_silent_gateway_is_given_up_at_the_same_time(mode):
    async def silent(reader, _):
        await reader.read()

    async with serving(silent) as upstream, relaying(upstream, mode) as (port, _):
        port.terms(response_head_timeout=0.1)
        out, _ = await talk(port.port, post("/operator/api/chat", HOLA, CLOSE), patience=3)
        assert out.startswith(b"HTTP/1.1 504 ")
        assert words(port) == ([("chat", "pass", "error", 504)] if mode == "shadow" else [])


@pytest.mark.parametrize("mode", ["off", "shadow"])
async def test_a_drain_cuts_the_chats_that_are_left(mode):
    gateway = Gateway(lambda *_: None)
    async with serving(gateway) as upstream, relaying(upstream, mode) as (port, memory):
        reader, writer = await port.connect()
        writer.write(post(body=HOLA))
        await port.until(lambda: gateway.done)
        assert await port.data_port.drain(0) == 1
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        assert memory.copies == 0
        assert words(port) == ([("chat", "pass", "client_gone", None)] if mode == "shadow" else [])
