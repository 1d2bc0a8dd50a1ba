"""Many clients that take their time, and one that does not: how is it served, and what do the others cost?

    slowloris   connections that send one byte of a head a second, and come again when they are cut
    idle        connections that say nothing
    readers     relayed bodies of 8 MiB, read at 64 KiB a second
    uploaders   bodies sent at 1 KiB a second: half of them relayed ones of 8 MiB, half of them chats

The attackers run in processes of their own. The policy is the built-in one but for the ``idle`` timeout, which is
shortened so that its end is seen: heads and the bodies of chats have 10 seconds by default. A relayed body may take as
long as it likes unless ``relay.timeouts.stream`` is stated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from benchmarks.parts import ROOT, TOKEN, Running, running, table
from benchmarks.probe import SOURCES, Probe, Told, told
from benchmarks.proc import Watch, descriptors, raise_descriptor_limit, tcp_memory

KINDS = ("slowloris", "idle", "readers", "uploaders")
BODY = 8 << 20
RATE = 40.0  # of the normal client's requests a second
AT_ONCE = 250  # connections that one attacking process makes at the same moment


class Scene(NamedTuple):
    """``ends`` is what became of the attackers' connections, ``held`` how many seconds until they were cut (least, most)."""

    kind: str
    attackers: int
    quiet: float  # p99 of the same requests before they came, seconds
    chat: Told
    relayed: Told
    ends: dict[str, int]
    held: tuple[float, float]
    growth: float
    per_client: float
    tcp: float  # MiB in the buffers of all sockets, beyond what was there before
    most_descriptors: int
    descriptors_left: int


# -- attackers, in a process of their own -------------------------------------------------------------------------------


class Attack:
    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._host = f"{host}:{port}"
        self.over = False
        self.ends: Counter[str] = Counter()
        self.held: list[float] = []
        self.open = 0
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def one(self, kind: str, number: int) -> None:
        while not self.over:
            try:
                async with self._gate:
                    source = (f"127.0.0.{1 + number % SOURCES}", 0)
                    began = time.monotonic()  # before: the other side's clock may run long before this task does again
                    reader, writer = await self._connect(source)
            except OSError as error:
                self.ends[type(error).__name__] += 1
                await asyncio.sleep(1.0)
                continue
            self.open += 1
            try:
                end = await getattr(self, kind)(reader, writer, number)
            except (ConnectionError, EOFError):
                end = "closed"
            self.open -= 1
            writer.transport.abort()
            self.ends[end] += 1
            if not end.endswith("still open"):
                self.held.append(time.monotonic() - began)

    async def _connect(self, source: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """With a receive buffer so small that what is not read stays on the other side."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(0)
        connection.bind(source)
        await asyncio.get_running_loop().sock_connect(connection, self._place)
        return await asyncio.open_connection(sock=connection, limit=16_384)

    async def slowloris(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> str:
        head = f"GET /health HTTP/1.1\r\nHost: {self._host}\r\nX-Slow: {'a' * 4_000}"
        return await self._drip(reader, writer, head.encode(), 1)

    async def idle(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: int) -> str:
        while not self.over:
            if said := await self._said(reader, 0.5):
                return said
        return "still open"

    async def readers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> str:
        writer.write(f"GET /body?bytes={BODY} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        while not self.over:
            now = time.monotonic()
            if not await reader.read(65_536):
                return "closed"
            await asyncio.sleep(now + 1.0 - time.monotonic())
        return "still open"

    async def uploaders(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> str:
        chat = number % 2
        head = (
            f"POST {'/operator/api/chat' if chat else '/sink'} HTTP/1.1\r\nHost: {self._host}\r\nX-VX11-Token: {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {60_000 if chat else BODY}\r\n\r\n"
        )
        writer.write(head.encode())
        return ("chat: " if chat else "relayed: ") + await self._drip(reader, writer, b"x" * 59_000, 1_024)

    async def _drip(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, size: int) -> str:
        """``size`` bytes a second, until something is said about it."""
        position = 0
        while not self.over:
            now = time.monotonic()
            writer.write(data[position : position + size])
            position += size
            if said := await self._said(reader, now + 1.0 - time.monotonic()):
                return said
        return "still open"

    async def _said(self, reader: asyncio.StreamReader, within: float) -> str:
        """The status of an answer, or that the connection was closed; nothing when nothing came."""
        try:
            async with asyncio.timeout(max(within, 0.001)):
                line = await reader.readline()
        except TimeoutError:
            return ""
        return line[9:12].decode("latin-1") if line else "closed"


async def _attack(kind: str, host: str, port: int, count: int) -> None:
    """Says when all have come, and what became of them when a line on standard input says that it is over."""
    raise_descriptor_limit()
    attack = Attack(host, port)
    tasks = [asyncio.create_task(attack.one(kind, number)) for number in range(count)]
    while attack.open < count * 0.98 and not all(task.done() for task in tasks):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    print(json.dumps({"open": attack.open}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    attack.over = True
    await asyncio.gather(*tasks)
    held = [min(attack.held, default=0.0), max(attack.held, default=0.0)]
    print(json.dumps({"ends": attack.ends, "held": held}), flush=True)


# -- the scene ----------------------------------------------------------------------------------------------------------


async def _normal(place: Running, seconds: float) -> tuple[Told, Told]:
    """A client that chats, and one that asks for something else, by kept connections and by new ones."""
    probes = [Probe(place, kept=kept) for kept in (True, False)]
    found = await asyncio.gather(
        *(probe.at(RATE / 4, seconds, kind) for probe in probes for kind in ("chat", "relayed"))
    )
    for probe in probes:
        probe.close()
    return told([*found[0], *found[2]]), told([*found[1], *found[3]])


async def _settled(within: float = 20.0) -> None:
    """Until what fits into the buffers of sockets has been moved: that takes the machine, not the sidecar, its time."""
    until = time.monotonic() + within
    last = -1.0
    while abs((now := tcp_memory()) - last) > 1.0 + now / 100 and time.monotonic() < until:
        last = now
        await asyncio.sleep(0.5)


async def _scene(place: Running, kind: str, count: int, seconds: float, processes: int) -> Scene:
    await _normal(place, 1.0)
    before = descriptors(place.pid)
    quiet = await _normal(place, min(seconds, 4.0))
    per = [count // processes + (number < count % processes) for number in range(processes)]
    ends: Counter[str] = Counter()
    held: list[float] = []
    tcp = tcp_memory()
    with Watch(place.pid) as watch, contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(_attacker(kind, place, each)) for each in per]
        for _, output in attackers:
            await asyncio.to_thread(output.readline)
        await _settled()
        chat, relayed = await _normal(place, seconds)
        for order, _ in attackers:
            order.write("over\n")
            order.flush()
        for _, output in attackers:
            said = json.loads(await asyncio.to_thread(output.readline))
            ends.update(said["ends"])
            held.extend(each for each in said["held"] if each)
    async with asyncio.timeout(30):
        while (left := descriptors(place.pid) - before) > 20:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return Scene(
        kind, count, max(quiet[0].high, quiet[1].high), chat, relayed, dict(ends),
        (min(held, default=0.0), max(held, default=0.0)), watch.growth, watch.growth / count * 1024,
        watch.most_tcp - tcp, watch.most_descriptors, left,
    )  # fmt: skip


@contextlib.contextmanager
def _attacker(kind: str, place: Running, count: int) -> Iterator[tuple[IO[str], IO[str]]]:
    """Its standard input and output."""
    command = [sys.executable, "-m", "benchmarks.crowd", "--attack", kind, place.host, str(place.port), str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdin, process.stdout
    finally:
        process.terminate()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def measure(counts: dict[str, int], seconds: float, *, policy: str, processes: int = 2) -> list[Scene]:
    """Each scene, of so many attackers, with a sidecar and a gateway of its own; the normal client has so many seconds."""
    import uvloop  # noqa: PLC0415

    scenes = []
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "policy.yaml"
        file.write_text(policy)
        for kind, count in counts.items():
            with contextlib.ExitStack() as stack, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                origin = stack.enter_context(running("-m", "benchmarks.gateway"))
                aims = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", origin.address)]
                flags = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--policy", str(file), *aims)
                serving = stack.enter_context(running("-m", "sidecar", "serve", *flags))
                scenes.append(runner.run(_scene(serving, kind, count, seconds, processes)))
    return scenes


def show(scenes: list[Scene]) -> None:
    rows = []
    for each in scenes:
        quantiles = [f"{value * 1000:.1f}" for one in (each.chat, each.relayed) for value in (one.median, one.high)]
        rows.append([
            each.kind, each.attackers, f"{each.chat.share:.1%}", f"{each.relayed.share:.1%}", f"{each.quiet * 1000:.1f}",
            *quantiles, f"{each.growth:.1f}", f"{each.per_client:.1f}", f"{each.tcp:.0f}", each.most_descriptors, each.descriptors_left,
        ])  # fmt: skip
    table(
        [
            "crowd", "clients", "chats served", "relayed", "p99 before", "chat p50", "p99", "relayed p50", "p99", "RSS + MiB",
            "KiB each", "sockets + MiB", "fds", "left",
        ],
        rows,
    )  # fmt: skip
    print("\nTimes in milliseconds. The crowd's connections, and seconds until they were cut, least and most:")
    for each in scenes:
        print(f"  {each.kind}: {each.ends}, {each.held[0]:.1f} to {each.held[1]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--attack", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.attack:
        kind, host, port, count = arguments.attack
        asyncio.run(_attack(kind, host, int(port), int(count)))
        return
    raise_descriptor_limit()
    counts = {"slowloris": 2_000, "idle": 5_000, "readers": 200, "uploaders": 200}
    wanted = {kind: count for kind, count in counts.items() if arguments.only in (None, kind)}
    show(measure(wanted, arguments.seconds, policy="relay: {timeouts: {idle: 12s}}\n"))


if __name__ == "__main__":
    main()
