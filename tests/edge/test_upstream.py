"""Asking a target over real sockets: every way it can go wrong is a value of the right kind, and each ask is one request."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket

import pytest
from kitchen import Peer, answering, full, http, reset, until

from sidecar.core.classify import Classifier
from sidecar.core.value import replace
from sidecar.core.vocabulary import Attempt, Binding, ErrorKind, Outcome
from sidecar.edge.chat import upstream as module
from sidecar.edge.chat.contract import Answer, Question
from sidecar.edge.chat.upstream import Asked, Upstream
from sidecar.edge.snapshot import Destination
from sidecar.policy.model import Policy

LOOPS = ("asyncio", "uvloop")
POLICY = Policy()
SWITCH, MADRE = POLICY.ladder
GOOD = json.dumps({"status": "ok", "reply": "hola", "engine_used": "general-7b"}).encode()
QUESTION = Question("hi", "session-1", "corr-1", {})


@pytest.fixture
async def upstream():
    opened = Upstream()
    yield opened
    opened.close()


async def ask(upstream, origin, *, within=5.0, connect=1.0, token="link", question=QUESTION, target=SWITCH):
    step = Attempt(target.name, 1, within, connect, Binding.ATTEMPT)
    return await upstream.ask(step, target, Classifier(target), Destination(origin, target.path, token), question)


async def hang(peer, request, writer):
    await peer.gone.wait()


def writing_then_hanging(data):
    async def behave(peer, request, writer):
        writer.write(data)
        await peer.gone.wait()

    return behave


async def trickle_the_head(peer, request, writer):
    for byte in http(GOOD):
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)  # the trickle itself: it must outlast the attempt's 100 ms, byte by byte


async def reset_at_once(peer, request, writer):
    reset(writer)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FAULTS = {
    "reset before the head": (reset_at_once, ErrorKind.RESET),
    "closed before the head": (answering(b"", then="close"), ErrorKind.RESET),
    "closed within the head": (answering(b"HTTP/1.1 200 OK\r\nConte", then="close"), ErrorKind.RESET),
    "reset within the head": (answering(b"HTTP/1.1 200 OK\r\nConte", then="reset"), ErrorKind.RESET),
    "closed within the body": (answering(HEAD + b"Content-Length: 99\r\n\r\n{", then="close"), ErrorKind.TRUNCATED),
    "closed within a chunk": (
        answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{", then="close"),
        ErrorKind.TRUNCATED,
    ),
    "silence instead of a head": (hang, ErrorKind.TIMEOUT),
    "silence within the head": (writing_then_hanging(b"HTTP/1.1 200"), ErrorKind.TIMEOUT),
    "silence within the body": (writing_then_hanging(HEAD + b"Content-Length: 99\r\n\r\n{"), ErrorKind.TIMEOUT),
    "a head in drops": (trickle_the_head, ErrorKind.TIMEOUT),
    "a flood of interim answers": (writing_then_hanging(b"HTTP/1.1 102 Processing\r\n\r\n" * 500), ErrorKind.PROTOCOL),
    "a length that is too long": (writing_then_hanging(http(GOOD).replace(b"gth: ", b"gth: 9")), ErrorKind.TIMEOUT),
    "a length that is too short": (writing_then_hanging(HEAD + b"Content-Length: 1\r\n\r\n{}"), ErrorKind.PROTOCOL),
    "two lengths": (answering(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), ErrorKind.PROTOCOL),
    "a length and chunks": (
        answering(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        ErrorKind.PROTOCOL,
    ),
    "garbage": (answering(b"\x00\xff this is not HTTP\r\n\r\n", then="close"), ErrorKind.PROTOCOL),
    "bytes of TLS": (answering(b"\x15\x03\x01\x00\x02\x02\x50", then="close"), ErrorKind.PROTOCOL),
    "a header of 20 kB": (answering(HEAD + b"X: " + b"a" * 20_000 + b"\r\n\r\n"), ErrorKind.PROTOCOL),
    "a web page": (answering(http(b"<!doctype html><h1>502</h1>")), ErrorKind.NOT_JSON),
    "nothing at all": (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), ErrorKind.NOT_JSON),
    "NaN": (answering(http(b'{"reply":"x","n":NaN}')), ErrorKind.NOT_JSON),
    "a list": (answering(http(b'["reply"]')), ErrorKind.NOT_JSON),
    "invalid UTF-8": (answering(http(b'{"reply":"\xff"}')), ErrorKind.NOT_JSON),
    "a compressed body, which nobody asked for": (
        answering(http(gzip.compress(GOOD), "200 OK", "Content-Encoding: gzip")),
        ErrorKind.NOT_JSON,
    ),
    "a body of 2 MiB": (answering(http(b'{"reply":"' + b"a" * (2 << 20) + b'"}')), ErrorKind.TOO_LARGE),
    "2 MiB in chunks": (
        answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\n200000\r\n" + b"a" * (2 << 20) + b"\r\n0\r\n\r\n"),
        ErrorKind.TOO_LARGE,
    ),
}


@pytest.mark.parametrize("key", ["", "0123456789abcdef" * 4])
async def test_a_key_is_a_field_of_the_request_and_no_key_is_none(upstream, key):
    async with Peer(answering(http(GOOD))) as peer:
        traced = replace(QUESTION, key=key, trace={"traceparent": "t"})
        await ask(upstream, peer.origin, question=traced)
    head = peer.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    fields = [line for line in head if line.lower().startswith(("idempotency", "traceparent"))]
    assert fields == ["traceparent: t", *([f"Idempotency-Key: {key}"] if key else [])]


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_of_the_target_is_a_value_after_exactly_one_request(upstream, name):
    behave, kind = FAULTS[name]
    async with Peer(behave) as peer:
        asked = await ask(upstream, peer.origin, within=0.1 if kind is ErrorKind.TIMEOUT else 5.0)
    assert asked == Asked(Outcome(error=kind), None)
    assert len(peer.requests) == 1


async def test_a_connection_reset_on_arrival_is_a_reset(upstream):
    accepted = 0

    def reset_on_arrival(reader, writer):
        nonlocal accepted
        accepted += 1
        reset(writer)

    server = await asyncio.start_server(reset_on_arrival, "127.0.0.1", 0)
    asked = await ask(upstream, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()
    assert asked == Asked(Outcome(error=ErrorKind.RESET), None)
    assert accepted == 1


@pytest.mark.parametrize(
    "status",
    [
        "101 Switching Protocols",
        "307 Temporary Redirect",
        "401 Unauthorized",
        "422 Unprocessable Entity",
        "500 Oops",
        "503 Busy",
    ],
)
async def test_a_status_that_is_no_success_is_told_with_or_without_json(upstream, status):
    async with Peer(answering(http(b"Internal Server Error", status, "Location: http://127.0.0.1:1/x"))) as peer:
        asked = await ask(upstream, peer.origin)
    assert asked == Asked(Outcome(status=int(status[:3])), None)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("-3", None),
        ("2.5", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("", None),
        ("\u0663", None),
        ("12345678", module.LONGEST_WAIT),
        ("9" * 4000, module.LONGEST_WAIT),
    ],
)
async def test_retry_after_is_read_as_whole_seconds_or_not_at_all(upstream, field, seconds):
    async with Peer(answering(http(b'{"detail":"busy"}', "503 Busy", f"Retry-After: {field}"))) as peer:
        asked = await ask(upstream, peer.origin)
    assert asked.outcome.retry_after == seconds


async def test_a_refused_connection_is_told_as_such(upstream):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        asked = await ask(upstream, f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert asked == Asked(Outcome(error=ErrorKind.CONNECT), None)


@pytest.mark.parametrize("host", ["name.invalid", "a..b", "a" * 70], ids=["unknown", "an empty label", "a long label"])
async def test_a_name_that_does_not_resolve_is_told_as_such(upstream, host):
    asked = await ask(upstream, f"http://{host}:80", connect=4.0)
    assert asked == Asked(Outcome(error=ErrorKind.DNS), None)
    assert await upstream.get(f"http://{host}:80/", {}, 4.0) is None


async def test_a_connection_that_does_not_come_about_is_a_connect_timeout(upstream):
    with full() as port:
        asked = await ask(upstream, f"http://127.0.0.1:{port}", connect=0.05)
    assert asked == Asked(Outcome(error=ErrorKind.CONNECT_TIMEOUT), None)


async def test_a_token_that_cannot_be_a_header_field_is_no_exception(upstream):
    async with Peer(answering(http(GOOD))) as peer:
        asked = await ask(upstream, peer.origin, token="a\r\nX-Evil: 1")
        assert await upstream.get(peer.origin, {"X-VX11-Token": "a\nb"}, 1.0) is None
    assert asked.outcome.error is ErrorKind.PROTOCOL
    assert not peer.requests


async def test_the_answer_and_what_the_rules_look_at_come_back(upstream):
    async with Peer(answering(http(GOOD))) as peer:
        asked = await ask(upstream, peer.origin)
    assert asked == Asked(Outcome(None, 200, {"status": "ok"}, text=True), Answer("hola", "general-7b"))


async def test_json_that_says_failure_under_a_200_comes_back_without_text(upstream):
    async with Peer(answering(http(b'{"status":"error","content":"Error: x"}'))) as peer:
        asked = await ask(upstream, peer.origin)
    assert asked == Asked(Outcome(None, 200, {"status": "error"}, text=False), None)


async def test_the_request_on_the_wire_holds_what_is_needed_and_nothing_else(upstream, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Peer(answering(http(GOOD))) as peer:
        await ask(upstream, peer.origin)
        await ask(upstream, peer.origin, token=None, target=MADRE)
    head, body = peer.requests[0].split(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    assert line == b"POST /switch/chat HTTP/1.1"
    assert sorted(fields) == [
        b"Content-Length: %d" % len(body),
        b"Content-Type: application/json",
        b"Host: 127.0.0.1:%d" % peer.port,
        b"X-Correlation-Id: corr-1",
        b"X-VX11-Token: link",
    ]
    assert [message["content"] for message in json.loads(body)["messages"]][-1] == "hi"
    assert b"X-VX11-Token" not in peer.requests[1]
    assert json.loads(peer.requests[1].split(b"\r\n\r\n")[1]) == {"message": "hi", "session_id": "session-1"}


async def test_a_connection_is_used_again_and_keeps_no_cookie(upstream):
    async with Peer(answering(http(GOOD, "200 OK", "Set-Cookie: a=b; Path=/"))) as peer:
        for _ in range(3):
            await ask(upstream, peer.origin)
    assert peer.connections == 1
    assert b"cookie" not in b"".join(peer.requests).lower()


@pytest.mark.parametrize("name", ["silence within the body", "a body of 2 MiB", "closed within the body"])
async def test_a_connection_whose_answer_was_not_read_to_its_end_is_not_used_again(upstream, name):
    async with Peer(FAULTS[name][0]) as peer:
        await ask(upstream, peer.origin, within=0.1)
        await ask(upstream, peer.origin, within=0.1)
    assert peer.connections == len(peer.requests) == 2


async def test_a_post_on_a_connection_that_just_died_is_not_sent_again(upstream):
    served = 0

    async def one_answer_each(peer, request, writer):
        nonlocal served
        served += 1
        if served == 1:
            writer.write(http(GOOD))
        else:
            reset(writer)

    async with Peer(one_answer_each) as peer:
        assert (await ask(upstream, peer.origin)).answer
        asked = await ask(upstream, peer.origin)
    assert asked.outcome.error is ErrorKind.RESET
    assert len(peer.requests) == 2


async def test_cancelling_an_ask_closes_its_connection_and_raises_cancelled_error(upstream):
    async with Peer(hang) as peer:
        task = asyncio.create_task(ask(upstream, peer.origin))
        await until(lambda: peer.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        peer.gone.set()  # lets the peer read on, and meet the end of the connection
        await until(lambda: not peer._busy)


async def test_a_hundred_and_fifty_asks_at_once_all_get_through(upstream):
    everybody = asyncio.Barrier(150)

    async def all_together(peer, request, writer):
        await everybody.wait()
        writer.write(http(GOOD))

    async with Peer(all_together) as peer:
        answers = await asyncio.gather(*(ask(upstream, peer.origin) for _ in range(150)))
    assert all(asked.answer for asked in answers)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (http(b'{"active_services":["madre"]}'), {"active_services": ["madre"]}),
        (http(b"[1]"), [1]),
        (http(b""), None),
        (http(b"<html>"), None),
        (http(b"{}", "500 Oops"), None),
        (http(b"{}", "302 Found", "Location: /elsewhere"), None),
        (http(b'"' + b"a" * (2 << 20) + b'"'), None),
        (b"garbage\r\n\r\n", None),
    ],
)
async def test_get_gives_the_json_of_a_200_and_none_for_anything_else(upstream, answer, value):
    async with Peer(answering(answer, then="close")) as peer:
        assert await upstream.get(peer.origin + "/x", {"X-VX11-Token": "link"}, 5.0) == value
    assert b"X-VX11-Token: link" in peer.requests[0]
    assert b"accept" not in peer.requests[0].lower()


async def test_get_gives_up_after_its_time(upstream):
    async with Peer(hang) as peer:
        assert await upstream.get(peer.origin, {}, 0.05) is None
