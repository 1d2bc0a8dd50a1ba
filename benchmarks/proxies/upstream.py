"""What stands behind every proxy: gateway, switch and madre, cheap enough never to be the narrow place.

nginx answers requests from memory where it is installed. Streams, WebSockets and large bodies are answered by the
server in this module, which can also stand in for nginx: ``python -m benchmarks.proxies.upstream PORT``.

``GET /events``   server-sent events, ten a second, for every reader at the same moment
``GET /echo``     a WebSocket that says what it hears
``GET /large``    10 MiB
``POST /sink``    reads a body of any length, then answers
otherwise         1 KiB, or on a chat's path what a switch says that is well
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from benchmarks.parts import ANSWER
from benchmarks.proxies.cores import Cores
from benchmarks.proxies.process import answered, filled, free_port, program, spawned

EVERY = 0.1  # seconds between two events of a stream
LARGE = 10 << 20
SMALL = b"x" * 1024
CHAT = json.dumps(ANSWER).encode()
COMPLETION = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "local",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER["reply"]}}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NGINX = "upstream-nginx.conf.tmpl"


class Upstream(NamedTuple):
    """Ports on loopback."""

    gateway: int
    switch: int
    madre: int


@contextlib.contextmanager
def fast(cores: Cores, directory: Path) -> Iterator[Upstream]:
    """For requests: nginx, or the server below."""
    nginx = program("nginx")
    if nginx is None:
        with streaming(cores, directory) as upstream:
            yield upstream
        return
    upstream = Upstream(free_port(), free_port(), free_port())
    words = {name.upper(): str(port) for name, port in upstream._asdict().items()}
    bodies = {"SMALL": SMALL.decode(), "CHAT": CHAT.decode(), "COMPLETION": COMPLETION.decode()}
    path = filled(_NGINX, directory, words | bodies | {"DIRECTORY": str(directory)})
    with spawned([nginx, "-e", "stderr", "-c", str(path)], cores.upstream, directory / "upstream.log") as process:
        answered(process, upstream.gateway, "/", within=10)
        yield upstream


@contextlib.contextmanager
def streaming(cores: Cores, directory: Path) -> Iterator[Upstream]:
    """For streams and large bodies: one server in all three parts."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.proxies.upstream", str(port)]
    with spawned(command, cores.upstream, directory / "streaming.log") as process:
        answered(process, port, "/", within=10)
        yield Upstream(port, port, port)


# -- the server ---------------------------------------------------------------------------------------------------------


def _answer(body: bytes, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_EVENT = b"data: " + b"e" * 64 + b"\n\n"
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)
_WHOLE = {
    b"/large": _answer(bytes(LARGE), "application/octet-stream"),
    b"/switch/chat": _answer(CHAT),
    b"/madre/chat": _answer(CHAT),
    b"/v1/chat/completions": _answer(COMPLETION),
}
_OTHER = _answer(SMALL, "text/plain")
_BUFFER = memoryview(bytearray(1 << 18))  # one for all connections: what is in it is used up before anybody else reads


class _Connection(asyncio.BufferedProtocol):
    streams: set[asyncio.Transport] = set()  # noqa: RUF012 - of all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._received = b""
        self._left = 0  # bytes of a body
        self._answer = b""  # when it has come whole
        self._echoes = False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.streams.discard(self._transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._left:
            self._left -= nbytes
            if self._left <= 0:
                self._transport.write(self._answer)
            return
        self._received += _BUFFER[:nbytes]
        if self._echoes:
            self._echo()
        elif b"\r\n\r\n" in self._received:
            self._begin()

    def _begin(self) -> None:
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1]
        lower = head.lower()
        if path == b"/events":
            self._transport.write(_EVENTS)
            self.streams.add(self._transport)
        elif path == b"/echo":
            self._shake(head, lower)
        else:
            length = int(lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
            self._left, self._received = length - len(self._received), b""
            self._answer = _WHOLE.get(path, _OTHER)
            if self._left <= 0:
                self._transport.write(self._answer)

    def _shake(self, head: bytes, lower: bytes) -> None:
        at = lower.index(b"\r\nsec-websocket-key:") + len(b"\r\nsec-websocket-key:")
        key = head[at:].partition(b"\r\n")[0].strip()
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self._echoes = True

    def _echo(self) -> None:
        """Short masked frames, one after the other; there are no others here."""
        while len(self._received) >= 6:
            size = self._received[1] & 0x7F
            if len(self._received) < 6 + size:
                return
            mask = self._received[2:6] * (size // 4 + 1)
            masked = int.from_bytes(self._received[6 : 6 + size], "big")
            payload = (masked ^ int.from_bytes(mask[:size], "big")).to_bytes(size, "big")
            self._transport.write(bytes((self._received[0], size)) + payload)
            self._received = self._received[6 + size :]


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(_Connection, "127.0.0.1", port, backlog=4096)
    due = loop.time()
    while True:
        due += EVERY
        await asyncio.sleep(due - loop.time())
        for transport in list(_Connection.streams):
            transport.write(_CHUNK)


def _main(port: str) -> None:
    import uvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(port)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
