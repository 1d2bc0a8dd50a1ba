"""What must hold of the pure parts, whatever arrives. Each check takes one example and gives back what kind it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sidecar.wire import head, inventory, request, response, target, trace
from sidecar.wire.body import BY_CHUNKS, BY_LENGTH, NOTHING, Body, Chunked, Length
from sidecar.wire.frames import Frames
from sidecar.wire.head import EMPTY_LINES, Refused

from . import oracles, reading, routing
from .messages import pieces

CHAT = ("/operator/api/chat", "/operator/api/v1/chat")
ROUTES = target.Routes(CHAT, ("/debug/*",))
RULES = head.rules(ROUTES, pseudonym=b"vx11-sidecar-0123abcd", authority=b"gateway:8000")
# The next hop has a name of its own, and room for what we add.
NEXT = head.rules(ROUTES, pseudonym=b"next", authority=b"beyond", longest=1 << 20, fields=200)
TIGHT = RULES._replace(longest=150, fields=3)
PEER = b"127.0.0.1"
HOP = frozenset({b"keep-alive", b"proxy-connection", b"te", b"http2-settings"})


def a_request_head(raw: bytes) -> str:
    """A head is refused or goes on; what goes on means the same to the next reader, and to whoever reads it otherwise."""
    judged = request.read(raw, RULES)
    tight = request.read(raw, TIGHT)
    if isinstance(judged, Refused):
        assert 200 <= judged.status < 600
        assert isinstance(tight, Refused)
        return f"{judged.status} {judged.why}"
    known = inventory.usage(judged)
    assert known.template in inventory.ROUTES
    assert known.client in inventory.CLIENTS
    for size in range(len(raw)):  # a head must not depend on where its bytes were cut
        assert head.partial(raw[:size], RULES) is None, size
        assert head.partial(raw[:size], TIGHT) is None or isinstance(tight, Refused), size
    for trusted in (False, True):
        out = judged.outgoing(PEER, trusted=trusted)
        _well_formed(out, judged)
        again = request.read(out, NEXT)
        if b"\r\nmax-forwards: 0\r\n" in out.lower() and isinstance(again, Refused) and again.why == "max_forwards":
            continue
        assert not isinstance(again, Refused), (again, out)
        assert (again.method, again.target, again.route, again.path) == (
            judged.method,
            judged.target,
            judged.route,
            judged.path,
        )
        assert (again.framing, again.length, again.upgrade) == (judged.framing, judged.length, judged.upgrade)
        assert (again.tokens, again.expects, again.minor) == (judged.tokens, judged.expects, 1)
        assert again.host == (judged.host or RULES.authority)
        third = request.read(
            again.outgoing(PEER, trusted=False), RULES._replace(pseudonym=b"third", longest=1 << 20, fields=200)
        )
        assert isinstance(third, Refused | request.Request)
    return f"{judged.route} {judged.framing} {bool(judged.upgrade)} {judged.expects} {judged.close} {judged.minor}"


def _well_formed(out: bytes, judged: request.Request) -> None:
    """By the second reader: one framing, one hop's Connection, and every field that ours alone must write once."""
    lines = out.split(b"\r\n")
    assert lines[-2:] == [b"", b""], out
    stream = reading.requests(out if judged.framing == NOTHING else _with_body(out, judged))
    assert stream.wrong is None, (stream.wrong, out)
    assert not stream.rest, (stream.rest, out)
    (message,) = stream.messages
    names = [name for name, _ in message.fields]
    assert message.first == (judged.method, judged.target, b"HTTP/1.1")
    assert not HOP & set(names), names
    for once in (b"host", b"via", b"x-forwarded-for"):
        assert names.count(once) == 1, (once, out)
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert message.values(b"connection") == ([b"Upgrade"] if judged.upgrade else [])
    assert len(message.values(b"x-vx11-token")) == len(judged.tokens) <= 1


def _with_body(out: bytes, judged: request.Request) -> bytes:
    size = min(judged.length, 8)
    if judged.framing == BY_CHUNKS:
        return out + b"0\r\n\r\n"
    assert b"\r\nContent-Length: %d\r\n" % judged.length in _spelled_length(out), out
    return (
        _spelled_length(out).replace(b"Content-Length: %d\r\n" % judged.length, b"Content-Length: %d\r\n" % size)
        + b"x" * size
    )


def _spelled_length(out: bytes) -> bytes:
    """The head with the name of its length written the usual way: a gigabyte of body proves no more than eight bytes."""
    lines = out.split(b"\r\n")
    for at, line in enumerate(lines):
        name, mark, value = line.partition(b":")
        if mark and name.lower() == b"content-length":
            lines[at] = b"Content-Length: " + value.strip(b" \t")
    return b"\r\n".join(lines)


class Read(NamedTuple):
    """What a body reader made of its input."""

    out: bytes
    done: bool
    rest: bytes
    refused: Refused | None


def fed(body: Body, parts: Sequence[bytes]) -> Read:
    """As a door feeds: no further once the body is over or refused."""
    out, rest = b"", b""
    for number, part in enumerate(parts):
        out += body.feed(part)
        if body.done or body.refused is not None:
            rest = body.rest + b"".join(parts[number + 1 :])
            break
    return Read(out, body.done, rest if body.done else b"", body.refused)


def a_chunked_body(example: tuple[bytes, Sequence[int]]) -> str:
    """Split or whole, chunks are the same; and what goes on is chunks of the same data, to anybody."""
    data, cuts = example
    drop = (b"x-vx11-token",)
    whole = fed(Chunked(drop=drop), [data])
    assert fed(Chunked(drop=drop), pieces(data, cuts)) == whole
    bare = fed(Chunked(bare=True), [data])
    assert fed(Chunked(bare=True), pieces(data, cuts)) == bare
    assert (bare.done, bare.rest, bare.refused) == (whole.done, whole.rest, whole.refused)
    word = whole.refused.why if whole.refused else ""
    body, rest, verdict = b"", b"", ""
    try:
        body, _, rest = reading.chunks(data)
    except reading.WrongError:
        verdict = "wrong"
    except reading.ShortError:
        verdict = "short"
    if verdict:
        assert not whole.done, verdict
        assert _passed_is_sound(whole.out)
        return f"{verdict} {word}"
    if whole.refused is not None:  # a limit of ours
        return f"limit {word}"
    assert (bare.out, whole.rest) == (body, rest)
    again = fed(Chunked(drop=drop), [whole.out])
    assert again == Read(whole.out, True, b"", None)
    sent, trailers, after = reading.chunks(whole.out)
    assert (sent, after) == (body, b"")
    names = {name for name, _ in trailers}
    assert not names & {b"host", b"content-length", b"transfer-encoding", b"x-vx11-token", b"authorization"}
    message = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + whole.out
    agreed = _agreed(message)
    assert agreed is None or [one[2] for one in agreed] == [body]
    return f"done {bool(trailers)} {bool(rest)} {agreed is not None}"


def _passed_is_sound(out: bytes) -> bool:
    """What passed before the end is the beginning of a chunked body: closed by force it means nothing else."""
    try:
        reading.chunks(out)
    except reading.ShortError:
        return True
    except reading.WrongError:
        return False
    return False


def a_measured_body(example: tuple[bytes, Sequence[int], int]) -> str:
    data, cuts, length = example
    whole = fed(Length(length), [data])
    if length:
        assert fed(Length(length), pieces(data, cuts)) == whole
        assert (whole.out, whole.done) == (data[:length], len(data) >= length)
        assert whole.rest == (data[length:] if whole.done else b"")
    else:
        assert Length(0).done
    return f"{whole.done} {bool(whole.rest)}"


def _agreed(out: bytes) -> oracles.Seen | None:
    """What both readers of other people make of it, where they make the same."""
    one, other = oracles.by_h11(out), oracles.by_aiohttp(out)
    return one if one is not None and one == other else None


class Relayed(NamedTuple):
    """What a client's stream became on its way: complete requests, a beginning of one, and why no more came."""

    requests: list[bytes]
    beginning: bytes
    refused: Refused | None


def relayed(data: bytes) -> Relayed:
    """The data port without sockets: heads and bodies in turn, as a door reads them, everything to the gateway."""
    found: list[bytes] = []
    while True:
        blank = EMPTY_LINES.match(data)
        data = data[blank.end() :] if blank else data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return Relayed(found, b"", head.partial(data, RULES))
        judged = request.read(data[:end], RULES)
        if isinstance(judged, Refused):
            return Relayed(found, b"", judged)
        out = judged.outgoing(PEER, trusted=False)
        data = data[end:]
        if judged.framing != NOTHING:
            body: Body = Length(judged.length) if judged.framing == BY_LENGTH else Chunked(drop=(RULES.token,))
            out += body.feed(data) if data else b""
            if not body.done:
                return Relayed(found, out, body.refused)
            data = body.rest
        found.append(out)


def a_stream(data: bytes) -> str:
    """A client's whole stream: what goes on are its messages as a second reader finds them, in order, and no byte of others."""
    came = reading.requests(data)
    went = relayed(data)
    assert len(went.requests) <= len(came.messages), (came, went)
    for ours, theirs in zip(went.requests, came.messages, strict=False):
        sent = reading.requests(ours)
        assert sent.wrong is None, sent.wrong
        assert not sent.rest
        (message,) = sent.messages
        assert message.first[0] == theirs.first[0]
        assert message.body == theirs.body
        absolute = theirs.first[1].lower().startswith((b"http://", b"https://"))
        assert absolute or message.first[1] == theirs.first[1]
    if went.refused is None and not went.beginning:
        assert len(went.requests) == len(came.messages)
    if went.beginning:
        begun = reading.requests(went.beginning)
        assert not begun.messages
        assert begun.wrong is None, begun.wrong
    out = b"".join(went.requests)
    agreed = _agreed(out) if out else None
    if agreed is not None:
        expected = reading.requests(out).messages
        assert agreed == [(message.first[0], message.first[1], message.body) for message in expected]
    refused = went.refused.why if went.refused else ""
    return f"{len(went.requests)} {bool(went.beginning)} {refused} {agreed is not None}"


def an_answer_head(example: tuple[bytes, bytes]) -> str:
    """An answer's head is refused or goes on; read again it ends where it ended before."""
    raw, method = example
    judged = response.read(raw, method, RULES)
    if isinstance(judged, Refused):
        assert judged.status == 502
        return judged.why
    out = judged.head
    if judged.framing == BY_CHUNKS:
        out += b"\r\nTransfer-Encoding: chunked"
    out += b"\r\n\r\n"
    again = response.read(out, method, NEXT)
    assert not isinstance(again, Refused), (again, out)
    assert (again.status, again.framing, again.length, again.stream, again.dated) == (
        judged.status, judged.framing, judged.length, judged.stream, judged.dated,
    )  # fmt: skip
    names = [line.partition(b":")[0].lower() for line in out.split(b"\r\n")[1:]]
    assert not HOP & set(names), names
    assert names.count(b"via") == 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= (1 if judged.status != 304 else 2)
    ready = again.framing == NOTHING
    seen = reading.answers(out, [method], ended=True)
    if ready:
        assert seen.wrong in (None, "tunnel"), (seen.wrong, out)
    return f"{judged.status // 100} {judged.framing} {judged.reusable} {judged.stream} {judged.dated}"


def a_target(example: tuple[bytes, bytes]) -> str:
    """What would reach the gateway's chat handler is never passed for something else."""
    method, raw = example
    aimed = target.read(method, raw)
    reaches = routing.reaches_chat(raw)
    if isinstance(aimed, str):
        return f"{aimed} {reaches}"
    route = ROUTES.route(aimed.path)
    again = target.read(method, aimed.raw)
    assert not isinstance(again, str), again
    assert (again.raw, again.path) == (aimed.raw, aimed.path)
    if reaches or routing.reaches_chat(aimed.raw):
        assert route in ("chat", "alias", "reject"), route
    if route == "chat":
        assert target.decoded(aimed.path).decode() in CHAT
    return f"{route} {reaches}"


def frames(example: tuple[bytes, Sequence[int]]) -> str:
    """Split or whole, frames of a WebSocket end where they end."""
    data, cuts = example
    ends: list[int] = []
    at, begun = 0, False
    while at < len(data):
        header = data[at : at + 2]
        length = header[-1] & 0x7F if len(header) == 2 else 0
        extended = {126: 2, 127: 8}.get(length, 0)
        size = 2 + extended + (4 if len(header) == 2 and header[1] & 0x80 else 0)
        if extended:
            length = int.from_bytes(data[at + 2 : at + 2 + extended].ljust(extended, b"\0"), "big")
        begun = len(data) - at < size or len(data) - at - size < length
        if begun:
            break
        at += size + length
        ends.append(at)
    reader, start = Frames(), 0
    for part in pieces(data, cuts):
        end = start + len(part)
        inside = [edge - start for edge in ends if start < edge <= end]
        assert reader.feed(part) == (inside[0] if inside else None)
        start = end
    assert reader.between is not begun
    return f"{min(len(ends), 5)} {begun}"


def a_trace_context(example: tuple[Sequence[str], Sequence[str]]) -> str:
    """What is passed on reads as what was read, and holds nothing that a field must not hold."""
    context = trace.read(*example)
    if context is None:
        return "none"
    again = trace.read(
        [context.fields["traceparent"]], [context.fields[name] for name in context.fields if name == "tracestate"]
    )
    assert again == context
    assert all(value.isascii() and value.isprintable() for value in context.fields.values())
    assert len(context.trace_id) == 32
    assert int(context.trace_id, 16)
    assert int(context.parent_id, 16)
    return f"{len(context.fields)} {context.sampled}"
