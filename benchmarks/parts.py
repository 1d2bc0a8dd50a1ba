"""What the benchmarks are made of: servers to compare with, processes that are ended again, and a client that costs little.

As a program it is one of the servers, and says on standard output where it listens:
``python -m benchmarks.parts switch`` · ``bare`` · ``proxy http://HOST:PORT``
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

ROOT = Path(__file__).parent.parent
TOKEN = "benchmark-token"
ANSWER = {
    "status": "ok",
    "provider": "local",
    "decision": "local",
    "content": "[local-7b] hola",
    "reply": "[local-7b] hola",
    "latency_ms": 0,
    "engine_used": "general-7b",
    "used_cli": False,
    "fallback_reason": "cli_unavailable",
    "tokens_used": None,
}


# -- processes ----------------------------------------------------------------------------------------------------------


class Running(NamedTuple):
    """``began`` is when it was spawned, ``ready`` when it said where it listens, by ``time.perf_counter``.

    ``admin`` is the other port of a sidecar.
    """

    pid: int
    host: str
    port: int
    began: float
    ready: float
    admin: str = ""

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@contextlib.contextmanager
def running(*command: str) -> Iterator[Running]:
    """``python COMMAND``, from the line that says where it listens to its end. Its log goes nowhere, but is written."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VX11_", "API_TOKEN"))}
    environ = kept | {"VX11_TENTACULO_LINK_TOKEN": TOKEN}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        ready = time.perf_counter()
        if not said:
            raise SystemExit(f"did not start: python {' '.join(command)}")
        told = json.loads(said)
        host, _, port = told["listen"].rpartition(":")
        yield Running(process.pid, host, int(port), began, ready, told.get("admin", ""))
    finally:
        process.terminate()
        process.wait(15)
        process.stdout.close()


def sidecar(upstream: Running) -> contextlib.AbstractContextManager[Running]:
    """The sidecar as an operator starts it, with one server in the part of all three upstreams."""
    places = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", upstream.address)]
    return running("-m", "sidecar", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *places)


def server(*arguments: str) -> contextlib.AbstractContextManager[Running]:
    """One of the servers below."""
    return running("-m", "benchmarks.parts", *arguments)


# -- client -------------------------------------------------------------------------------------------------------------


class Client:
    """One kept connection, one request at a time, blocking: what it measures is the other side."""

    def __init__(self, where: Running) -> None:
        self._socket = socket.create_connection((where.host, where.port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = where.address

    def close(self) -> None:
        self._socket.close()

    def request(self, path: str, payload: object) -> bytes:
        body = json.dumps(payload).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nX-VX11-Token: {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def seconds(self, request: bytes) -> float:
        """Time from the first byte sent to the last one received; raises unless the switch answered."""
        began = time.perf_counter()
        self._socket.sendall(request)
        received = self._socket.recv(65536)
        while not _whole(received):
            more = self._socket.recv(65536)
            if not more:
                raise SystemExit("the connection was closed within an answer")
            received += more
        ended = time.perf_counter()
        if not received.startswith(b"HTTP/1.1 200") or b"local-7b" not in received:
            raise SystemExit(f"not answered: {received[:300]!r}")
        return ended - began


def _whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def chat(number: int) -> tuple[str, object]:
    """A chat for the sidecar, in a session of its own: ten a minute and session is the limit."""
    return "/operator/api/chat", {"message": "hola", "session_id": f"benchmark-{number}"}


def switch_chat() -> tuple[str, object]:
    """What the sidecar would send to the switch for it."""
    return "/switch/chat", {"messages": [{"role": "user", "content": "hola"}], "metadata": {}}


# -- figures ------------------------------------------------------------------------------------------------------------


def quantile(samples: Sequence[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def spread(samples: Sequence[float]) -> tuple[float, float, float]:
    """Median, least, most."""
    return statistics.median(samples), min(samples), max(samples)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        first, *rest = [
            cell.ljust(width) if not n else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join([first, *rest]))


# -- servers ------------------------------------------------------------------------------------------------------------


class _Switch(asyncio.Protocol):
    """Answers every request that came whole with the same chat answer: about as cheap as Python can."""

    _body = json.dumps(ANSWER).encode()
    _answer = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(_body)}\r\n\r\n".encode() + _body
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length or 0):
            self._received = b""
            self._transport.write(self._answer)


async def _serve_switch() -> None:
    listening = await asyncio.get_running_loop().create_server(_Switch, "127.0.0.1", 0)
    _say(listening.sockets[0].getsockname()[1])
    await listening.serve_forever()


async def _serve_bare() -> None:
    """The least an aiohttp server can be."""
    from aiohttp import web  # noqa: PLC0415 - the client should not hold it

    async def hello(_: web.Request) -> web.Response:
        return web.json_response(ANSWER)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hello)
    await _serve(app)


async def _serve_proxy(upstream: str) -> None:
    """The proxy that anybody would write first: one shared session, whole bodies, a few header fields."""
    import aiohttp  # noqa: PLC0415
    from aiohttp import web  # noqa: PLC0415

    async with aiohttp.ClientSession() as session:

        async def forward(request: web.Request) -> web.Response:
            kept = {name: request.headers[name] for name in ("X-VX11-Token", "Content-Type") if name in request.headers}
            body = await request.read()
            async with session.request(request.method, upstream + request.path_qs, data=body, headers=kept) as answer:
                return web.Response(
                    status=answer.status, body=await answer.read(), content_type=answer.content_type or "text/plain"
                )

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forward)
        await _serve(app)


async def _serve(app: object) -> None:
    from aiohttp import web  # noqa: PLC0415

    assert isinstance(app, web.Application)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _say(runner.addresses[0][1])
    await asyncio.Event().wait()


def _say(port: int) -> None:
    print(json.dumps({"listen": f"127.0.0.1:{port}"}), flush=True)


def _main(name: str, *arguments: str) -> None:
    import uvloop  # noqa: PLC0415

    serve = {"switch": _serve_switch, "bare": _serve_bare, "proxy": _serve_proxy}[name]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(*arguments))


if __name__ == "__main__":
    _main(*sys.argv[1:])
