"""What is not chat arrives as it was sent, both ways; and whoever changes it is caught."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from random import getrandbits  # seeded per run by pytest-randomly

import pytest

from tests.acceptance.conftest import FREE, Spawn
from tests.acceptance.pairs import sessions
from tests.acceptance.running import LINK
from tests.acceptance.transparency import ALLOWED, Message, Origin, Seen, differences, run
from tests.corpus.raw import serving

Alteration = Callable[[bytes], bytes]


def relay(spawn: Spawn, gateway: int) -> int:
    """A sidecar in front of this port, and where it listens."""
    nobody = ("--switch", "127.0.0.1:9", "--madre", "127.0.0.1:9")
    process = spawn("serve", *FREE, "--gateway", f"127.0.0.1:{gateway}", *nobody, **{LINK: "right"})
    return int(process.ready()["listen"].rpartition(":")[2])


def faults(direct: dict[str, Seen], through: dict[str, Seen]) -> list[str]:
    return [
        f"pair {case}\n" + "\n".join(found)
        for case, seen in direct.items()
        if (found := differences(seen, through[case]))
    ]


async def compared(spawn: Spawn, number: int, seed: int) -> None:
    connections = sessions(seed, number)
    pairs = [pair for connection in connections for pair in connection]
    near, far = Origin(pairs), Origin(pairs)
    async with serving(near) as direct, serving(far) as upstream:
        port = relay(spawn, upstream)
        found = faults(await run(direct, near, connections), await run(port, far, connections))
    print(f"seed {seed}: {len(pairs)} pairs on {len(connections)} connections")
    assert len(pairs) >= number
    assert not found, f"seed {seed}: {len(found)} of {len(pairs)} pairs differ\n" + "\n\n".join(found[:8])


async def test_pairs_of_request_and_answer_pass_unchanged(spawn: Spawn) -> None:
    await compared(spawn, 400, getrandbits(32))


@pytest.mark.slow
async def test_thousands_of_pairs_pass_unchanged(spawn: Spawn) -> None:
    await compared(spawn, 3_000, getrandbits(32))


# -- the comparison itself ----------------------------------------------------------------------------------------------


class Altering:
    """A relay that changes heads: everything else goes through it as it comes."""

    def __init__(self, origin: int) -> None:
        self._origin = origin
        self.request: Alteration = bytes
        self.answer: Alteration = bytes

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, onward = await asyncio.open_connection("127.0.0.1", self._origin)
        back = asyncio.create_task(self._pump(inner, writer, "answer"))
        try:
            await self._pump(reader, onward, "request")
        finally:
            onward.close()
            await asyncio.wait([back])

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**18):
                head, end, rest = data.partition(b"\r\n\r\n")
                if end and (head.startswith(b"HTTP/1.") or b" HTTP/1.1\r\n" in head[:4_000]):
                    data = getattr(self, kind)(head) + end + rest  # as it is now: connections outlive alterations
                writer.write(data)
                await writer.drain()
        writer.close()


def each_line(change: Callable[[list[bytes]], list[bytes]]) -> Alteration:
    """A change of the fields; the start line stays."""

    def alter(head: bytes) -> bytes:
        start, *lines = head.split(b"\r\n")
        return b"\r\n".join([start, *change(lines)])

    return alter


def lower_case(lines: list[bytes]) -> list[bytes]:
    return [name.lower() + colon + rest for name, colon, rest in (line.partition(b":") for line in lines)]


def without_repeats(lines: list[bytes]) -> list[bytes]:
    return list({line.partition(b":")[0].lower(): line for line in lines}.values())


def tidied(lines: list[bytes]) -> list[bytes]:
    return [name + b": " + rest.strip() for name, _, rest in (line.partition(b":") for line in lines)]


def decoded(lines: list[bytes]) -> list[bytes]:
    return [line.decode("latin-1").encode("ascii", "ignore") for line in lines]


def untitled(head: bytes) -> bytes:
    """The reason is replaced by what the book says."""
    return re.sub(rb"\A(HTTP/1\.1 [2-5]\d\d) [^\r]*", rb"\1 Status", head)


def resolved(head: bytes) -> bytes:
    """The target is decoded once."""
    return re.sub(rb"%41|%7e|%2f", b"A", head.partition(b"\r\n")[0]) + b"\r\n" + head.partition(b"\r\n")[2]


ALTERATIONS: dict[str, tuple[Alteration, str]] = {
    "names in lower case": (each_line(lower_case), "fields:"),
    "repeats dropped": (each_line(without_repeats), "fields:"),
    "order reversed": (each_line(lambda lines: lines[::-1]), "fields:"),
    "whitespace tidied": (each_line(tidied), "fields:"),
    "bytes beyond ASCII dropped": (each_line(decoded), "fields:"),
    "a field added": (each_line(lambda lines: [*lines, b"X-Added: 1"]), "X-Added"),
    "empty fields dropped": (each_line(lambda lines: [line for line in lines if line.partition(b":")[2].strip()]), "fields:"),
}  # fmt: skip


async def test_a_relay_that_alters_heads_is_caught(spawn: Spawn) -> None:
    connections = sessions(7, 60)
    pairs = [pair for connection in connections for pair in connection]
    near, far = Origin(pairs), Origin(pairs)
    async with serving(near) as direct_port, serving(far) as upstream:
        altering = Altering(upstream)
        async with serving(altering) as between:
            port = relay(spawn, between)
            direct = await run(direct_port, near, connections)

            async def found() -> str:
                far.seen.clear()
                return "\n".join(faults(direct, await run(port, far, connections)))

            assert await found() == ""
            for name, (alter, told) in ALTERATIONS.items():
                altering.request, altering.answer = alter, bytes
                assert told in await found(), f"requests: {name}"
                altering.request, altering.answer = bytes, alter
                assert told in await found(), f"answers: {name}"
            altering.request, altering.answer = resolved, bytes
            assert "request line:" in await found()
            altering.request, altering.answer = bytes, untitled
            assert "answer line:" in await found()


async def test_every_permission_is_needed(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = sessions(11, 500)
    pairs = [pair for connection in connections for pair in connection]
    near, far = Origin(pairs), Origin(pairs)
    async with serving(near) as direct_port, serving(far) as upstream:
        through = await run(relay(spawn, upstream), far, connections)
        direct = await run(direct_port, near, connections)
    for kind, rules in ALLOWED.items():
        for rule in rules:
            monkeypatch.setitem(ALLOWED, kind, tuple(other for other in rules if other is not rule))
            needed = any(differences(seen, through[case]) for case, seen in direct.items())
            assert needed, f"nothing in {kind}s needs {rule.name.decode()}"
        monkeypatch.setitem(ALLOWED, kind, rules)


CONTENT: dict[str, Callable[[Message], Message]] = {
    "a byte of the content": lambda it: it._replace(body=bytes([it.body[0] ^ 1]) + it.body[1:]),
    "the end of the content": lambda it: it._replace(body=it.body[:-1]),
    "a trailer": lambda it: it._replace(trailers=(*it.trailers, b"X-More: 1")),
    "the framing": lambda it: it._replace(framing="close"),
    "a second Via": lambda it: it._replace(lines=(*it.lines, *(line for line in it.lines if line[:4] == b"Via:"))),
    "no Via": lambda it: it._replace(lines=tuple(line for line in it.lines if line[:4] != b"Via:")),
    "no Date": lambda it: it._replace(lines=tuple(line for line in it.lines if line[:5] != b"Date:")),
    "the status": lambda it: it._replace(start=b"HTTP/1.1 500" + it.start[12:]),
    "another length": lambda it: it._replace(lines=tuple(line.replace(b"Length: 5", b"Length: 6") for line in it.lines)),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTENT)
def test_a_change_of_an_answer_is_told(what: str) -> None:
    asked = Message(b"GET / HTTP/1.1", (b"Host: h",), "none", b"", ())
    sent = (
        b"Via: 1.1 vx11-sidecar-0123abcd",
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: h",
    )
    onward = asked._replace(lines=asked.lines + sent)
    came = Message(b"HTTP/1.1 200 OK", (b"Content-Length: 5", b"X: y"), "length", b"hello", ())
    date = b"Date: Tue, 15 Nov 1994 08:12:31 GMT"
    passed = came._replace(lines=(*came.lines, b"Via: 1.1 vx11-sidecar-0123abcd", date))
    direct = Seen(asked, (came,))
    assert differences(direct, Seen(onward, (passed,))) == []
    assert differences(direct, Seen(onward, (CONTENT[what](passed),)))
    assert differences(direct, Seen(None, (passed,)))
    assert differences(direct, Seen(asked, (passed,)))
    assert differences(direct, Seen(onward, ()))
    assert differences(direct, Seen(onward, (passed,), "reset")) == ["through: reset"]
