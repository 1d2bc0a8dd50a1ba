"""The same bytes direct and through a relay, and what may differ: every permitted difference is written down, with its reason.

A pair is sent twice, to the upstream itself and through the relay. What upstream saw and what the client saw are cut into messages and
compared line by line, in order. ``ALLOWED`` names the fields that may go, come or be rewritten, each under a condition; framing, start
lines and interim answers have rules of their own below. Whatever is left over is a difference.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from typing import NamedTuple

from tests.acceptance.pairs import CASE, Exchange

PATIENCE = 15.0  # seconds for one connection's pairs
VIA = re.compile(rb"(.*, )?1\.[01] vx11-sidecar-[0-9a-f]{8}", re.DOTALL)
DATE = re.compile(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


class Message(NamedTuple):
    """``lines`` are the field lines as they came; ``framing`` is none, length, chunked or close; ``body`` is without chunks."""

    start: bytes
    lines: tuple[bytes, ...]
    framing: str
    body: bytes
    trailers: tuple[bytes, ...]

    def values(self, name: bytes) -> list[bytes]:
        return [value(line) for line in self.lines if key(line) == name]

    def listed(self, name: bytes) -> set[bytes]:
        """The members of a comma-separated field, in lower case."""
        return {part.strip(b" \t").lower() for one in self.values(name) for part in one.split(b",")} - {b""}

    @property
    def old(self) -> bool:
        return b"HTTP/1.0" in self.start

    @property
    def status(self) -> int:
        return int(self.start[9:12])


class Seen(NamedTuple):
    """What became of one exchange. ``trouble`` says why there is no more."""

    request: Message | None
    answers: tuple[Message, ...]
    trouble: str = ""


class Sides(NamedTuple):
    """One message both ways; ``asked`` is the request as the client sent it, ``final`` no interim answer."""

    direct: Message
    through: Message
    asked: Message
    final: bool = True


def key(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def value(line: bytes) -> bytes:
    return line.partition(b":")[2].strip(b" \t")


# -- what may differ ----------------------------------------------------------------------------------------------------


class Allowed(NamedTuple):
    """A field that a relay may take away (``gone``), add (``came``) or both, and must add (``due``), each if the condition holds."""

    name: bytes
    gone: Callable[[Sides, bytes], bool]
    came: Callable[[Sides, bytes], bool]
    due: Callable[[Sides], bool]
    rfc: str
    why: str


def always(*_: object) -> bool:
    return True


def never(*_: object) -> bool:
    return False


def _authority(sides: Sides) -> bytes:
    """Of a target in absolute form."""
    match = re.match(rb"\S+ [A-Za-z]+://([^/?\s]+)", sides.direct.start)
    return match[1] if match else b""


def _host(sides: Sides) -> bytes:
    return _authority(sides) or b"".join(sides.direct.values(b"host"))


def _host_came(sides: Sides, came: bytes) -> bool:
    if _authority(sides):
        return came == _authority(sides)
    return sides.direct.old and not sides.direct.values(b"host") and came != b""


def _one_via_more(sides: Sides, came: bytes) -> bool:
    match = VIA.fullmatch(came)
    before = b", ".join(one for one in sides.direct.values(b"via") if one)
    own = b"1.0 " if sides.direct.old else b"1.1 "
    return match is not None and (match[1] or b"") == (before + b", " if before else b"") and own in came[len(before) :]


def _respelled(_: Sides, gone: bytes) -> bool:
    return len(gone) > 1 and gone.startswith(b"0")


def _same_length(sides: Sides, came: bytes) -> bool:
    return [came] == [b"%d" % int(one) for one in sides.direct.values(b"content-length")] and all(
        _respelled(sides, one) for one in sides.direct.values(b"content-length")
    )


def _hops(sides: Sides, came: bytes) -> bool:
    less = sides.direct.start.startswith((b"OPTIONS", b"TRACE"))
    return [came] == [b"%d" % (int(one) - less) for one in sides.direct.values(b"max-forwards")]


def _no_date(sides: Sides) -> bool:
    return sides.final and not sides.direct.values(b"date")


def _chunked(sides: Sides, came: bytes) -> bool:
    return came == b"chunked" and sides.through.framing == "chunked"


HOP = ("9110 7.6.1", "belongs to one connection")
HOPS = (b"keep-alive", b"proxy-connection", b"te", b"http2-settings")
ALLOWED: dict[str, tuple[Allowed, ...]] = {
    "request": (
        Allowed(b"connection", always, never, never, *HOP),
        *(Allowed(name, always, never, never, *HOP) for name in HOPS),
        Allowed(b"upgrade", always, never, never, "9110 7.8", "an upgrade is offered hop by hop; none is on offer in these pairs"),
        Allowed(b"via", always, _one_via_more, always, "9110 7.6.3", "a gateway must add itself"),
        Allowed(b"x-forwarded-for", always, lambda _, came: came == b"127.0.0.1", always, "7239 8.1", "a stranger's word is replaced by ours"),
        Allowed(b"x-forwarded-proto", always, lambda _, came: came == b"http", always, "7239 8.1", "as above"),
        Allowed(b"x-forwarded-host", always, lambda sides, came: came == _host(sides) != b"", never, "7239 8.1", "as above"),
        *(Allowed(name, always, never, never, "7239 8.1", "as above") for name in (b"x-forwarded-port", b"forwarded", b"x-real-ip")),
        Allowed(b"host", lambda sides, _: bool(_authority(sides)), _host_came, lambda sides: not _host(sides) or bool(_authority(sides)),
                "9112 3.2", "taken from an absolute form; filled in for 1.0"),
        Allowed(b"content-length", _respelled, _same_length, never, "9110 8.6", "the same number without leading zeros"),
        Allowed(b"transfer-encoding", always, _chunked, lambda sides: sides.direct.framing == "chunked", "9112 6.1", "framing is of one hop"),
        Allowed(b"expect", lambda sides, _: sides.direct.old, never, never, "9110 10.1.1", "means nothing in 1.0, and would in 1.1"),
        Allowed(b"max-forwards", always, _hops, lambda sides: bool(sides.direct.values(b"max-forwards")), "9110 7.6.2", "one less"),
    ),
    "answer": (
        Allowed(b"connection", always, lambda _, came: came.lower() in (b"close", b"keep-alive"), never, *HOP),
        *(Allowed(name, always, never, never, *HOP) for name in HOPS),
        Allowed(b"upgrade", always, never, never, "9110 7.8", "announced hop by hop"),
        Allowed(b"via", always, _one_via_more, always, "9110 7.6.3", "a gateway may add itself to answers, and ours says it does"),
        Allowed(b"date", never, lambda sides, came: _no_date(sides) and DATE.fullmatch(came) is not None, _no_date, "9110 6.6.1",
                "a recipient with a clock must add what is missing"),
        Allowed(b"transfer-encoding", always, _chunked, lambda sides: sides.through.framing == "chunked", "9112 6.1",
                "framing is of one hop; none to 1.0 clients, none where no content follows"),
    ),
}  # fmt: skip

# What Connection names goes (9110 7.6.1), these excepted: other hops depend on them.
NOT_DROPPABLE = {b"host", b"content-length", b"set-cookie", b"via", b"date", CASE.lower()}
# What must not act after the body (9110 6.5.1), and may be dropped there.
NOT_IN_TRAILERS = {b"host", b"authorization", b"content-encoding"}


# -- comparison ---------------------------------------------------------------------------------------------------------


def differences(direct: Seen, through: Seen) -> list[str]:
    """What the relay changed and was not allowed to; a few lines each."""
    trouble = [f"{way}: {seen.trouble}" for way, seen in (("direct", direct), ("through", through)) if seen.trouble]
    if trouble:
        return trouble
    if direct.request is None or through.request is None:
        told = [f"{one.start!r} {one.body[:80]!r}" for one in through.answers or direct.answers]
        return [f"the request did not arrive: {told}"]
    asked = direct.request
    found = _message("request", Sides(asked, through.request, asked))
    expected = [one for one in direct.answers if one.status >= 200 or not asked.old]  # 9110 15.2: no 1xx to 1.0
    if [one.status for one in expected] != [one.status for one in through.answers]:
        return [*found, f"answers: {[one.status for one in expected]} became {[one.status for one in through.answers]}"]
    for one, other in zip(expected, through.answers, strict=True):
        found += _message("answer", Sides(one, other, asked, one.status >= 200))
    return found


def _message(kind: str, sides: Sides) -> list[str]:
    direct, through = sides.direct, sides.through
    found = _diff(f"{kind} line", [_start(kind, sides)], [through.start])
    went = [line for line in direct.lines if not _is_gone(kind, sides, line)]
    arrived, came = [], []
    for line in through.lines:
        rules = [rule for rule in ALLOWED[kind] if rule.name == key(line) and rule.came(sides, value(line))]
        came += [rule.name for rule in rules]
        if not rules:
            arrived.append(line)
    found += _diff(f"{kind} fields", went, arrived)
    found += [f"{kind}: two {name.decode()}" for name in set(came) if came.count(name) > 1]
    found += [
        f"{kind}: {rule.name.decode()} is missing ({rule.rfc}: {rule.why})"
        for rule in ALLOWED[kind]
        if rule.due(sides) and rule.name not in came
    ]
    return found + _content(kind, sides)


def _is_gone(kind: str, sides: Sides, line: bytes) -> bool:
    name = key(line)
    if name in sides.direct.listed(b"connection") and name not in NOT_DROPPABLE:
        return True
    return any(rule.name == name and rule.gone(sides, value(line)) for rule in ALLOWED[kind])


def _start(kind: str, sides: Sides) -> bytes:
    """The start line to expect: an intermediary states its own version (9110 2.5), and nothing else changes but what follows."""
    start = sides.direct.start
    if kind == "answer":  # 9112 4: the space before the reason is there even if the reason is not
        return b"HTTP/1.1" + start[8:] + (b" " if len(start) == 12 else b"")
    method, target, _ = start.split(b" ")
    match = re.fullmatch(rb"[A-Za-z]+://[^/?]+(.*)", target, re.DOTALL)
    if match:  # 9112 3.2.1, 3.2.4: absolute form becomes origin form
        rest = match[1]
        target = b"*" if method == b"OPTIONS" and not rest else rest if rest.startswith(b"/") else b"/" + rest
    return b"%s %s HTTP/1.1" % (method, target)


def _content(kind: str, sides: Sides) -> list[str]:
    """Chunk sizes and extensions are the hop's (9112 7.1.1); the content is not, nor are the trailers that may be kept."""
    direct, through = sides.direct, sides.through
    bare = kind == "answer" and sides.asked.old and direct.framing == "chunked"  # 9112 7.1: a 1.0 client gets no chunks
    found = []
    if through.framing != ("close" if bare else direct.framing):
        found.append(f"{kind}: framing by {direct.framing} became {through.framing}")
    if through.body != direct.body:
        at = next((n for n, (a, b) in enumerate(zip(direct.body, through.body, strict=False)) if a != b), -1)
        found.append(f"{kind} content: {len(direct.body)} bytes became {len(through.body)}, first difference at {at}")
    kept = [] if bare else [line for line in direct.trailers if key(line) not in NOT_IN_TRAILERS]
    return found + _diff(f"{kind} trailers", kept, list(through.trailers))


def _diff(what: str, before: list[bytes], after: list[bytes]) -> list[str]:
    lines = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [f"  - {line[:100]!r}" for line in before[a:b]] + [f"  + {line[:100]!r}" for line in after[c:d]]
    return ["\n".join([f"{what}:", *lines])] if lines else []


# -- sockets ------------------------------------------------------------------------------------------------------------


async def read_head(reader: asyncio.StreamReader) -> tuple[bytes, tuple[bytes, ...]]:
    start, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    return start, tuple(lines)


async def read_body(reader: asyncio.StreamReader, head: Message, *, until_close: bool) -> Message:
    if b"chunked" in head.listed(b"transfer-encoding"):
        body, trailers = bytearray(), []
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            trailers.append(line[:-2])
        return head._replace(framing="chunked", body=bytes(body), trailers=tuple(trailers))
    lengths = head.values(b"content-length")
    if lengths:
        return head._replace(framing="length", body=await reader.readexactly(int(lengths[0])))
    return head._replace(framing="close", body=await reader.read(-1)) if until_close else head


class Origin:
    """Answers each exchange with the bytes that belong to it, and keeps what it saw of the request."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._exchanges = {one.case: one for one in exchanges}
        self.seen: dict[str, Message] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            start, lines = await read_head(reader)
            message = Message(start, lines, "none", b"", ())
            case = message.values(CASE.lower())[0].decode()
            exchange = self._exchanges[case]
            if exchange.waits and b"100-continue" in message.listed(b"expect") and b" 417" not in exchange.answer[:13]:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if exchange.waits and b" 417" in exchange.answer[:13]:
                message = message._replace(framing="chunked" if message.values(b"transfer-encoding") else "length")
            else:
                message = await read_body(reader, message, until_close=False)
            self.seen[case] = message
            head = b"".join(exchange.interim) + exchange.answer
            await _write(writer, head + exchange.answer_content, len(head) if len(case) % 2 else 0)
            if exchange.closes:
                return


async def _write(writer: asyncio.StreamWriter, data: bytes, cut: int) -> None:
    """Whole, or in two pieces, so that heads arrive with and without what follows."""
    if cut:
        writer.write(data[:cut])
        await asyncio.sleep(0)
    writer.write(data[cut:])
    await writer.drain()


async def converse(port: int, connection: list[Exchange]) -> dict[str, tuple[tuple[Message, ...], str]]:
    """The exchanges of one connection, one after the other: the answers to each, and what went wrong."""
    told: dict[str, tuple[tuple[Message, ...], str]] = {}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        async with asyncio.timeout(PATIENCE):
            for exchange in connection:
                answers: list[Message] = []
                try:
                    await _ask(reader, writer, exchange, answers)
                    told[exchange.case] = (tuple(answers), "")
                except (OSError, EOFError, ValueError) as error:
                    told[exchange.case] = (tuple(answers), repr(error)[:200])
                    break
    except TimeoutError:
        told[exchange.case] = (tuple(answers), f"silence after {len(answers)} answers")
    finally:
        writer.close()
    return told


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange, answers: list[Message]
) -> None:
    writer.write(exchange.request if exchange.waits else exchange.request + exchange.content)
    while True:
        start, lines = await read_head(reader)
        answer = Message(start, lines, "none", b"", ())
        status = answer.status
        if status >= 200 and status not in (204, 304) and exchange.method != b"HEAD":
            answer = await read_body(reader, answer, until_close=True)
        answers.append(answer)
        if status >= 200:
            return
        if status == 100 and exchange.waits:
            writer.write(exchange.content)


async def run(port: int, origin: Origin, connections: list[list[Exchange]], at_once: int = 24) -> dict[str, Seen]:
    """All pairs by one way: direct, if ``port`` is the origin's."""
    gate = asyncio.Semaphore(at_once)

    async def one(connection: list[Exchange]) -> dict[str, tuple[tuple[Message, ...], str]]:
        async with gate:
            return await converse(port, connection)

    told = {case: what for part in await asyncio.gather(*map(one, connections)) for case, what in part.items()}
    nothing: tuple[tuple[Message, ...], str] = ((), "not asked: the connection ended before")
    return {
        exchange.case: Seen(origin.seen.get(exchange.case), *told.get(exchange.case, nothing))
        for connection in connections
        for exchange in connection
    }
