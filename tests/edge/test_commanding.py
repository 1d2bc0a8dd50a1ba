"""A command that is a chat is answered here, and every other one passes as if nobody had read it."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import CHAT, PSEUDONYM, Gateway, get, one_answer, post, serving, stage, talk

from sidecar.core.fact import ChatRejected, RelayEnded
from sidecar.core.value import replace
from sidecar.edge.chat.request import is_message
from sidecar.wire import head
from sidecar.wire.heads import Heads
from sidecar.wire.target import Routes
from tests.corpus.judge import Case, cases
from tests.corpus.lanes import LONGER, Lane

COMMANDS = "/operator/api/chat/commands"
JSON = "Content-Type: application/json"
MESSAGE = b'{"command":"message","message":"hola","session_id":"s"}'
STATUS = b'{"command":"status"}'
DATE = re.compile(rb"\r\nDate: [^\r]*")


@asynccontextmanager
async def telling_apart(upstream: int, *, told_apart: bool = True, **changes: Any):
    """The data port under ``intercept.commands: intercept``, or under ``relay``."""
    async with stage(upstream, **changes) as port:
        routes = Routes(CHAT, ("/debug/*",), told_apart=told_apart)
        port.terms(heads=Heads(head.rules(routes, pseudonym=PSEUDONYM, authority=b"gateway:8000")))
        yield port


def chunked(body: bytes, path: str = COMMANDS, size: int = 7, extension: str = ";x=y") -> bytes:
    start = post(path, b"", JSON).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return (
        start
        + b"".join(b"%X%b\r\n%b\r\n" % (len(one), extension.encode(), one) for one in pieces)
        + b"0\r\nX-T: 1\r\n\r\n"
    )


# -- a chat ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [COMMANDS, "/operator/api/v1/chat/commands", "/operator/api/ch%61t/commands?x=1"])
@pytest.mark.parametrize("framed", [post, chunked])
@pytest.mark.parametrize("piecemeal", [False, True])
async def test_a_message_is_answered_here_and_the_gateway_not_asked(path, framed, piecemeal):
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream) as port:
        for n in range(4):  # from the third on its head, or what it has in common with the others, is remembered
            raw = framed(path, MESSAGE, JSON, f"X-Request-Id: {n}") if framed is post else framed(MESSAGE, path)
            out, closed = await talk(
                port.port, raw, patience=5, step=int(piecemeal), enough=lambda out: b'"chat"' in out
            )
            assert (int(out[9:12]), closed) == (200, False)
            assert json.loads(out.partition(b"\r\n\r\n")[2])["chat"] == MESSAGE.decode()
        await port.until(lambda: port.data_port.chats == 0)
    assert gateway.raw == b""


async def test_what_follows_a_message_on_the_connection_is_served_next():
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream) as port:
        reader, writer = await port.connect()
        writer.write(post(COMMANDS, MESSAGE, JSON) + post(COMMANDS, STATUS, JSON) + chunked(MESSAGE) + get("/t"))
        answers = [(await one_answer(reader))[2] for _ in range(4)]
        writer.close()
    assert [b"hola" in answer for answer in answers] == [True, False, True, False]
    assert [head_.split(b" ")[1] for head_, _ in gateway.done] == [COMMANDS.encode(), b"/t"]


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked():
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream) as port:
        for body, chats in ((MESSAGE, True), (STATUS, False)):
            reader, writer = await port.connect()
            writer.write(post(COMMANDS, body, JSON, "Expect: 100-continue")[: -len(body)])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            status, _, answer = await one_answer(reader)
            if status == 100:  # the gateway's own, which a client has to bear (RFC 9110 15.2)
                status, _, answer = await one_answer(reader)
            assert (status, b"hola" in answer) == (200, chats)
            writer.close()
    assert [body for _, body in gateway.done] == [STATUS]


# -- anything else -----------------------------------------------------------------------------------------------------

OTHERS = {
    "another command": STATUS,
    "no command": b'{"message":"hola"}',
    "a command that is none": b'{"command":["message"],"message":"hola"}',
    "another case": b'{"command":"Message","message":"hola"}',
    "the last counts": b'{"command":"message","message":"hola","command":"status"}',
    "no message": b'{"command":"message"}',
    "a message that is no text": b'{"command":"message","message":7}',
    "a session that is no text": b'{"command":"message","message":"hola","session_id":7}',
    "half a character": b'{"command":"message","message":"\\ud800"}',
    "no object": b'[{"command":"message","message":"hola"}]',
    "no JSON": b'{"command":"message","message":"hola"',
    "not a number": b'{"command":"message","message":"hola","x":NaN}',
    "no text at all": b"\xff\xfe",
    "deep": b'{"command":"message","message":"hola","x":' + b"[" * 900 + b"]" * 900 + b"}",
}
REQUESTS: dict[str, list[bytes | float]] = {
    **{name: [post(COMMANDS, body, JSON)] for name, body in OTHERS.items()},
    **{f"{name}, in chunks": [chunked(body, size=5)] for name, body in OTHERS.items()},
    "text": [post(COMMANDS, MESSAGE, "Content-Type: text/plain")],
    "empty": [post(COMMANDS, b"", JSON)],
    "no chunk": [chunked(b"")],
    "too large": [post(COMMANDS, MESSAGE + b" " * 70_000, JSON)],
    "too large in chunks": [chunked(MESSAGE + b" " * 70_000, size=3_000)],
    "too large in large chunks": [chunked(MESSAGE + b" " * 300_000, size=100_000)],
    "a look-alike": [post("/operator/api/chat/commands/", MESSAGE, JSON)],
    "another method": [post(COMMANDS, MESSAGE, JSON).replace(b"POST", b"post", 1)],
    "PUT": [post(COMMANDS, MESSAGE, JSON).replace(b"POST", b"PUT", 1)],
    "HTTP/1.0": [post(COMMANDS, STATUS, JSON).replace(b"HTTP/1.1", b"HTTP/1.0", 1)],
    "an upgrade": [post(COMMANDS, b"", "Connection: Upgrade", "Upgrade: websocket").replace(b"Content-Length: 0\r\n", b"")],
    "without a token": [post(COMMANDS, STATUS, JSON, token=None)],
    "with a wrong one": [post(COMMANDS, MESSAGE, JSON, token=b"wrong")],
    "pipelined": [post(COMMANDS, STATUS, JSON) + get("/t") + chunked(STATUS) + post("/other", b"x" * 50)],
    "byte by byte": [bytes([byte]) for byte in chunked(STATUS)],
    "in two parts": [post(COMMANDS, STATUS, JSON)[:-7], 0.02, STATUS[-7:]],
}  # fmt: skip


async def conversation(pieces, *, told_apart: bool, warm: bool = False) -> tuple[bytes, bytes, list[Any]]:
    """What the client got, what the gateway got, and what was told of relayed requests."""
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream, told_apart=told_apart) as port:
        for _ in range(2 if warm else 1):
            gateway.raw = b""
            port.facts.clear()
            reader, writer = await port.connect()
            for piece in (*pieces, get("/last", "Connection: close")):
                if isinstance(piece, bytes):
                    writer.write(piece)
                    await asyncio.sleep(0)
                else:
                    await asyncio.sleep(piece)
            async with asyncio.timeout(10):
                out = await reader.read()
            writer.close()
        await port.until(lambda: port.data_port.chats == 0)
        assert not [fact for fact in port.facts if isinstance(fact, ChatRejected)]
        facts = [replace(fact, at=0.0, seconds=0.0) for fact in port.facts if isinstance(fact, RelayEnded)]
        return DATE.sub(b"", out), gateway.raw, facts


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("warm", [False, True])
async def test_it_passes_as_if_nobody_had_read_it(name, warm):
    relayed = await conversation(REQUESTS[name], told_apart=False, warm=warm)
    assert await conversation(REQUESTS[name], told_apart=True, warm=warm) == relayed


async def test_what_is_no_body_is_refused_before_the_gateway_hears_of_it():
    broken = [chunked(STATUS)[:-25] + b"zz\r\n"]
    relayed = await conversation(broken, told_apart=False)
    told = await conversation(broken, told_apart=True)
    assert told[0] == relayed[0]
    assert told[0].startswith(b"HTTP/1.1 400 ")
    assert told[1] == b""


MEMBERS = st.dictionaries(
    st.sampled_from(["command", "message", "session_id", "metadata", "x"]),
    st.sampled_from(["message", "status", "hola", "", 7, None, {}, []]),
)


@given(MEMBERS, st.integers(1, 40), st.booleans(), st.lists(st.integers(1, 200), max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_command_is_a_chat_or_passes_untouched(members, size, in_chunks, cuts):
    """However its body is framed, and wherever the pieces end in which it comes."""
    body = json.dumps(members).encode()
    raw = chunked(body, size=size) if in_chunks else post(COMMANDS, body, JSON)
    ends = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[start:end] for start, end in pairwise(ends)]

    async def both():
        return [await conversation(pieces, told_apart=told_apart) for told_apart in (False, True)]

    (out, to_gateway, facts), (out_, to_gateway_, facts_) = asyncio.run(both())
    message = members.get("command") == "message" and isinstance(members.get("message"), str)
    message = message and isinstance(members.get("session_id", ""), str | None)
    message = message and isinstance(members.get("metadata", {}), dict | None)
    assert is_message(body, "application/json") is message
    if message:
        assert b'"chat"' in out_
        assert b"commands" not in to_gateway_
    else:
        assert (out_, to_gateway_, facts_) == (out, to_gateway, facts)


PLAIN = re.compile(r"(?:GET|POST) /[a-z0-9](?= HTTP/1\.[01]\r\n)")


async def run(case: Case, *, told_apart: bool, piecemeal: bool, warm: bool) -> tuple[bytes, bool, bytes]:
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream, told_apart=told_apart) as port:
        port.terms(judge=lambda _: None)
        lane = Lane(gateway, port.port, LONGER)
        if warm:
            await lane.ask(case, piecemeal=piecemeal)
        out, closed = await lane.ask(case, piecemeal=piecemeal)
        await port.until(lambda: not len(port.data_port))
        return DATE.sub(b"", out), closed, gateway.raw


@pytest.mark.parametrize(
    ("piecemeal", "warm"), [(False, False), (True, False), (False, True)], ids=["whole", "bytewise", "remembered"]
)
async def test_every_wire_case_ends_as_where_commands_are_relayed(*, piecemeal: bool, warm: bool) -> None:
    gate = asyncio.Semaphore(24)

    async def one(case: Case) -> str | None:
        case = {**case, "request": PLAIN.sub(f"POST {COMMANDS}", case["request"])}
        async with gate:
            relayed, told = [await run(case, told_apart=how, piecemeal=piecemeal, warm=warm) for how in (False, True)]
        refused = told == (*relayed[:2], b"") and relayed[0].startswith(b"HTTP/1.1 4")  # before the gateway heard of it
        return None if told == relayed or refused else f"{case['id']}: {told!r} instead of {relayed!r}"

    found = await asyncio.gather(*map(one, cases("http1_wire") + cases("more_wire")))
    assert not [differs for differs in found if differs]


# -- how much, and how long --------------------------------------------------------------------------------------------


async def test_a_slow_body_is_relayed_once_a_chat_would_have_been_given_up():
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream, body_timeout=0.1, tick=0.02) as port:
        reader, writer = await port.connect()
        raw = post(COMMANDS, MESSAGE, JSON)
        writer.write(raw[:-9])
        await port.until(lambda: gateway.raw)
        assert port.data_port.chats == 0
        writer.write(raw[-9:])
        assert (await one_answer(reader))[0] == 200
        writer.close()
    assert gateway.done[0][1] == MESSAGE


async def test_a_command_takes_a_chats_place_while_it_is_gathered():
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream, most_chats=1) as port:
        _, waiting = await port.connect()
        waiting.write(post(COMMANDS, STATUS, JSON)[:-1])
        await port.until(lambda: port.data_port.chats == 1)
        assert port.data_port.under_way("chat") == 1
        out, _ = await talk(
            port.port, post(COMMANDS, STATUS, JSON), patience=2, enough=lambda out: b"overloaded" in out
        )
        assert int(out[9:12]) == 503
        waiting.write(STATUS[-1:])
        await port.until(lambda: gateway.done)
        await port.until(lambda: port.data_port.chats == 0)
        waiting.close()
        out, _ = await talk(port.port, post(COMMANDS, STATUS, JSON), patience=2, enough=lambda out: out.endswith(b"ok"))
        assert int(out[9:12]) == 200


async def test_a_client_that_leaves_in_its_body_leaves_nothing_behind():
    gateway = Gateway()
    async with serving(gateway) as upstream, telling_apart(upstream) as port:
        _, writer = await port.connect()
        writer.write(post(COMMANDS, MESSAGE, JSON)[:-1])
        await port.until(lambda: port.data_port.chats == 1)
        writer.transport.abort()
        await port.until(lambda: port.data_port.chats == 0 and not len(port.data_port))
    assert gateway.raw == b""
