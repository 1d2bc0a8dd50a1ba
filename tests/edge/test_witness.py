"""What is told of a chat that was observed, what it is told from, and how little is kept of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from lookout import HANG_UP, observed, relaying, words
from loopback import Gateway, one_answer, post, serving, talk
from test_observing import ANSWERS, CLOSE, DEGRADED, HOLA, LARGE, REQUESTS, chunked, http

from sidecar.core.fact import ChatObserved, RelayEnded
from sidecar.edge.chat.observation import Guard
from sidecar.edge.data import witness

GOOD = json.dumps({"response": "hola", "degraded": False, "fallback_source": None}).encode()
OK_ = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


async def told(pieces, answer=None, **policy):
    """Send, and hang up when the request is over. What was told."""
    gateway = Gateway((lambda *_: None) if answer is None else None)
    gateway.reply, gateway.close = answer or b"", True
    async with serving(gateway) as upstream, relaying(upstream, **policy) as (port, memory):
        _, writer = await port.connect()
        for piece in pieces:
            if piece is HANG_UP:
                await port.until(lambda: gateway.raw)
                writer.transport.abort()
            elif isinstance(piece, bytes):
                writer.write(piece)
                await asyncio.sleep(0)
        await port.until(lambda: any(isinstance(fact, RelayEnded | ChatObserved) for fact in port.facts))
        writer.close()
        assert memory.copies == 0
        return words(port)


SAID = {
    "length": [("chat", "pass", "degraded", 200)],
    "byte by byte": [("chat", "pass", "degraded", 200)],
    "chunks": [("chat", "pass", "degraded", 200)],
    "no token": [("chat", "auth_required", "degraded", 200)],
    "wrong token": [("chat", "forbidden", "degraded", 200)],
    "no JSON": [("chat", "invalid", "degraded", 200)],
    "no body": [("chat", "auth_required", "degraded", 200)],
    "too long": [("chat", "message_too_long", "degraded", 200)],
    "too large": [("chat", "too_large", "degraded", 200)],
    "too large in chunks": [("chat", "too_large", "degraded", 200)],
    "expecting": [("chat", "pass", "degraded", 200)],
    "1.0": [("chat", "auth_required", "degraded", 200)],
    "upgrade": [("chat", "invalid", "degraded", 200)],
    "alias": [("alias", "pass", "unreadable", 200)],
    "commands": [("commands", "auth_required", "unreadable", 200)],
    "odd spelling": [("chat", "pass", "degraded", 200)],
    "a control character": [("reject", "target", "unreadable", 200)],
    "bad chunk": [("chat", "undecided", "client_gone", None)],
    "left in the body": [("chat", "undecided", "client_gone", None)],
    "left in the answer": [("chat", "pass", "client_gone", None)],
    "not chat at all": [],
}
SEVERAL = {"pipelined"}


@pytest.mark.parametrize("request_", SAID)
async def test_what_we_would_have_said(request_):
    answer = None if request_ == "left in the answer" else http(DEGRADED)
    assert await told(REQUESTS[request_], answer) == SAID[request_]


def test_every_request_is_asked_about():
    assert {*SAID} | SEVERAL == {*REQUESTS}


COMMANDS = "/operator/api/chat/commands"
COMMAND = b'{"command":"message","message":"hola"}'


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([post(COMMANDS, COMMAND)], ("chat", "pass", "degraded", 200)),
        ([post("/operator/api/v1/chat/commands", COMMAND)], ("chat", "pass", "degraded", 200)),
        ([bytes([byte]) for byte in post(COMMANDS, COMMAND)], ("chat", "pass", "degraded", 200)),
        ([post(COMMANDS, COMMAND.replace(b"hola", b"x" * 4_001))], ("chat", "message_too_long", "degraded", 200)),
        ([post(COMMANDS, COMMAND, token=None)], ("commands", "auth_required", "unreadable", 200)),
        ([post(COMMANDS, COMMAND, token=b"wrong")], ("commands", "forbidden", "unreadable", 200)),
        ([post(COMMANDS, b'{"command":"status"}')], ("commands", "pass", "unreadable", 200)),
        ([post(COMMANDS, COMMAND + b" " * 70_000)], ("commands", "pass", "unreadable", 200)),
        ([post(COMMANDS, COMMAND)[:-5], HANG_UP], ("commands", "pass", "client_gone", None)),
        ([post("/operator/api/chat/commands/", COMMAND)], ("commands", "pass", "unreadable", 200)),
    ],
)
async def test_a_command_is_observed_as_what_it_would_have_been(pieces, said):
    intercept = {"paths": ["/operator/api/chat"], "commands": "intercept"}
    ((route, would, gave, status),) = await told(pieces, http(DEGRADED), intercept=intercept)
    assert (route, would, status) == (said[0], said[1], said[3])
    if route == "chat":
        assert gave == said[2]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(GOOD), ("answered", 200)),
        (http(DEGRADED), ("degraded", 200)),
        (http(b'{"provider":"fallback_local","degraded":false}'), ("degraded", 200)),
        (http(b'{"ok":true,"data":{}}'), ("unreadable", 200)),
        (http(b"hola"), ("unreadable", 200)),
        (http(b"[1]"), ("unreadable", 200)),
        (http(GOOD, "200 OK", "Content-Encoding: identity"), ("answered", 200)),
        (http(GOOD, "200 OK", "content-encoding:  IDENTITY "), ("answered", 200)),
        (http(GOOD, "200 OK", "Content-Encoding: gzip"), ("unreadable", 200)),
        (http(GOOD, "200 OK", "Content-Encoding: identity, br"), ("unreadable", 200)),
        (OK_ + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD), ("answered", 200)),
        (OK_ + b"\r\n" + GOOD, ("answered", 200)),
        (http(GOOD[:-1] + b" " * (witness.MOST_READ - len(GOOD)) + b"}"), ("answered", 200)),
        (http(GOOD[:-1] + b" " * (witness.MOST_READ + 1 - len(GOOD)) + b"}"), ("unreadable", 200)),
        (ANSWERS["interim"], ("degraded", 200)),
        (ANSWERS["nothing"], ("unreadable", 204)),
        (http(b"", "302 Found", "Location: /"), ("unreadable", 302)),
        (http(GOOD, "401 Unauthorized"), ("rejected", 401)),
        (http(GOOD, "429 Too Many Requests"), ("rejected", 429)),
        (http(GOOD, "500 Oops"), ("error", 500)),
        (ANSWERS["no HTTP"], ("error", 502)),
        (ANSWERS["cut short"], ("error", 200)),
        (b"", ("error", 502)),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            ("unreadable", None),
        ),
    ],
)
async def test_what_the_gateway_gave(answer, said):
    request = REQUESTS["upgrade"] if b" 101 " in answer else [post("/operator/api/chat", HOLA, CLOSE)]
    ((route, _, gave, status),) = await told(request, answer=answer)
    assert (route, gave, status) == ("chat", *said)


async def test_an_answer_before_the_request_was_whole_leaves_undecided_what_we_would_have_said():
    async def hasty(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b"{}", "413 Too Large", "Connection: close"))
        await writer.drain()
        await reader.read()

    async with serving(hasty) as upstream, relaying(upstream) as (port, memory):
        out, _ = await talk(port.port, post(body=HOLA)[:-3], patience=3)
        assert out.startswith(b"HTTP/1.1 413")
        assert words(port) == [("chat", "undecided", "rejected", 413)]
        assert memory.copies == 0


async def test_no_gateway_is_an_error_of_its_own():
    async with relaying(1) as (port, _):
        await talk(port.port, post("/operator/api/chat", HOLA, CLOSE), patience=3)
        assert words(port) == [("chat", "undecided", "error", 502)] or words(port) == [("chat", "pass", "error", 502)]


@pytest.mark.parametrize(
    ("client", "sent", "took", "late"),
    [
        ("5s", (), 4.7, False),
        ("5s", (), 4.99, True),  # a browser that left after its five seconds: its clock began a little before ours
        ("2s", (), 1.8, True),
        ("5s", ("X-Request-Timeout-Ms: 1500",), 1.3, True),
        ("2s", ("X-Request-Timeout-Ms: 9000",), 1.7, False),
    ],
)
@pytest.mark.parametrize("ends", ["gateway", "client"])
async def test_late_is_beyond_the_patience_of_policy_or_client_whoever_ends_it(client, sent, took, late, ends):
    clock, go = Clock(), asyncio.Event()
    gateway = Gateway()
    gateway.reply = http(GOOD)

    async def waiting(reader, writer):
        await go.wait()
        await gateway(reader, writer)

    async with serving(waiting) as upstream, relaying(upstream, deadline={"client": client}, now=clock) as (port, _):
        reader, writer = await port.connect()
        writer.write(post("/operator/api/chat", HOLA, *sent))
        await port.until(lambda: port.relay.unanswered)
        clock.now += took
        if ends == "client":
            writer.transport.abort()
        else:
            go.set()
            await one_answer(reader)
        await port.until(lambda: observed(port))
        writer.close()
        (fact,) = observed(port)
    assert (fact.late, fact.gateway) == (late, "answered" if ends == "gateway" else "client_gone")
    assert fact.seconds == pytest.approx(took)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


async def test_copies_are_bounded_by_what_the_policy_lets_in_at_once():
    hold = asyncio.Event()
    gateway = Gateway()
    gateway.reply = http(GOOD)

    async def waiting(reader, writer):
        await hold.wait()
        await gateway(reader, writer)

    async with serving(waiting) as upstream, relaying(upstream, overload={"chats": 2}) as (port, memory):
        ends = [await port.connect() for _ in range(5)]
        for _, writer in ends:
            writer.write(post(body=HOLA))
        await port.until(lambda: port.relay.unanswered == 5)
        assert memory.copies == 2
        hold.set()
        await port.until(lambda: len(observed(port)) == 5)
        assert memory.copies == 0
        for _, writer in ends:
            writer.close()
    assert (
        sorted(words(port)) == [("chat", "pass", "answered", 200)] * 2 + [("chat", "undecided", "unreadable", 200)] * 3
    )


async def test_of_a_large_chat_no_more_is_kept_than_the_policy_takes():
    hold = asyncio.Event()

    async def waiting(reader, _):
        await reader.readuntil(b"\r\n\r\n")
        while await reader.read(65_536):
            pass
        hold.set()

    async with serving(waiting) as upstream, relaying(upstream, guards={"max_body": "1KiB"}) as (port, _):
        reader, writer = await port.connect()
        largest = 0
        wire = chunked(LARGE[:300_000], size=100)
        for at in range(0, len(wire) - 40, 4096):
            writer.write(wire[at : at + 4096])
            await asyncio.sleep(0)
            for door in port.data_port._doors:
                copy = door._leg and door._leg._seen._sent
                largest = max(largest, len(copy.content) if copy else 0)
        writer.transport.abort()
        await port.until(lambda: observed(port))
        del reader
    assert largest <= 1024
    assert words(port) == [("chat", "too_large", "client_gone", None)]


@pytest.mark.parametrize("broken", ["of_head", "of_body"])
async def test_a_fault_of_whoever_looks_on_is_noticed_by_nobody(broken, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    gateway = Gateway()
    gateway.reply = http(GOOD)
    async with serving(gateway) as upstream, relaying(upstream) as (port, memory):
        with monkeypatch.context() as patch:
            patch.setattr(Guard, broken, fail)
            out, _ = await talk(port.port, post("/operator/api/chat", HOLA, CLOSE), patience=2)
        assert out.endswith(GOOD)
        assert memory.copies == 0
        ((route, would, _, status),) = words(port)
        assert (route, would, status) == ("chat", "undecided", 200)


async def test_a_head_that_cannot_be_read_leaves_undecided_what_was_given(monkeypatch):
    gateway = Gateway()
    gateway.reply = http(GOOD)
    async with serving(gateway) as upstream, relaying(upstream) as (port, _):
        monkeypatch.setattr(witness._Answer, "_head", lambda *_: 1 / 0)
        out, _ = await talk(port.port, post("/operator/api/chat", HOLA, CLOSE), patience=2)
        assert out.endswith(GOOD)
        assert words(port) == [("chat", "pass", "unreadable", None)]


async def test_what_is_told_holds_nothing_that_anybody_wrote():
    secret = "what the user wrote"
    body = json.dumps({"message": secret, "session_id": secret}).encode()
    gateway = Gateway()
    gateway.reply = http(json.dumps({"response": secret, "model": secret, "degraded": False}).encode())
    async with serving(gateway) as upstream, relaying(upstream) as (port, memory):
        await talk(port.port, post(f"/operator/api/chat?{secret.replace(' ', '')}", body, CLOSE), patience=2)
        assert secret not in repr(observed(port))
        assert secret.encode() not in repr(memory.windows._admitted).encode()
