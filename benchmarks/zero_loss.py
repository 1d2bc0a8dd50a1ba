"""Changing what runs, under load, and counting who noticed.

    python -m benchmarks.zero_loss [--reloads 1000] [--restarts 50]

Real processes on loopback: a lab that plays VX11, a sidecar in front of it, and clients that chat and relay all the time, some
on connections that they keep, some on a new one for every request. Meanwhile the policy is replaced and read again, then the
process is replaced by another one that takes its sockets over. A request failed if its connection did, if no whole answer came,
or if the answer was no 200. Clients do what HTTP/1.1 asks of them: after ``Connection: close`` they use a new connection, and
nothing is sent twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

PACE = 0.02  # seconds between two requests of one client
KEEPING, FRESH = 6, 4  # clients of each kind
TOKEN = "vx11-local-token"  # the lab's
ENVIRON = {"VX11_SIDECAR_ADMIN_TOKEN": "zero-loss", "VX11_TENTACULO_LINK_TOKEN": TOKEN}
GENEROUS = "guards: {rate_limit: 100000 per 1s}\n"


class Failed(Exception):  # noqa: N818 - what happened to a request, not an error of ours
    """The request got no good answer; the text says in which way."""


class Client:
    """One user with one connection at a time. ``keeps`` says whether it is kept from request to request."""

    def __init__(self, port: int, token: str, *, keeps: bool) -> None:
        self._port = port
        self._token = token
        self._keeps = keeps
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, number: int) -> None:
        """A chat or a relayed request, by turns. Raises Failed."""
        try:
            async with asyncio.timeout(10):
                await self._ask(number)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.leave()
            raise Failed(type(error).__name__) from None

    async def _ask(self, number: int) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(self._message(number))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await _body(reader, head)
        if not self._keeps or b"\r\nconnection: close" in head:
            self.leave()
        if head[9:12] != b"200":
            raise Failed(head[9:12].decode())
        if number % 2 == 0 and json.loads(body)["status"] not in ("ok", "degraded"):
            raise Failed("no answer of a chat")

    def _message(self, number: int) -> bytes:
        close = "" if self._keeps else "Connection: close\r\n"
        if number % 2:
            return f"GET /health HTTP/1.1\r\nHost: gateway\r\n{close}\r\n".encode()
        body = json.dumps({"message": "hola", "session_id": f"{id(self)}-{number}"})
        return (
            f"POST /operator/api/chat HTTP/1.1\r\nHost: gateway\r\n{close}X-VX11-Token: {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def leave(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    _, length, rest = head.partition(b"\r\ncontent-length:")
    if length:
        return await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


class Load:
    """Clients at work for as long as the block runs."""

    def __init__(self, port: int, token: str) -> None:
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._clients = [
            Client(port, token, keeps=keeps) for keeps, many in ((True, KEEPING), (False, FRESH)) for _ in range(many)
        ]
        self._over = False

    async def _work(self, client: Client) -> None:
        kind = "kept" if client._keeps else "fresh"  # noqa: SLF001 - its own load
        number = 0
        while not self._over:
            number += 1
            try:
                await client.ask(number)
                self.answered[kind] += 1
            except Failed as failure:
                self.failed[f"{kind}: {failure}"] += 1
            await asyncio.sleep(PACE)
        client.leave()

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._work(client)) for client in self._clients]
        try:
            yield
        finally:
            self._over = True
            await asyncio.gather(*tasks)


class Process:
    """``python -m sidecar ...`` with what it said on standard output when it was ready."""

    def __init__(self, process: asyncio.subprocess.Process, said: dict[str, str]) -> None:
        self._process = process
        self.said = said

    @classmethod
    async def start(cls, *arguments: str, log: Path) -> Process:
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sidecar", *arguments,
                stdout=asyncio.subprocess.PIPE, stderr=errors, env={**os.environ, **ENVIRON},
            )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while not (line := await process.stdout.readline()).startswith(b"{"):
                if not line:
                    raise RuntimeError(f"{arguments[0]} did not start: {await asyncio.to_thread(log.read_text)}")
        return cls(process, json.loads(line))

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            return await self._process.wait()

    async def end(self) -> None:
        if self._process.returncode is None:
            self.signal(signal.SIGKILL)
            await self._process.wait()


@contextlib.asynccontextmanager
async def deployment(where: Path) -> AsyncIterator[tuple[Callable[[], object], dict[str, str]]]:
    """The lab, and a function that starts a sidecar in front of it (again): it takes over from the one that runs."""
    lab = await Process.start(
        "lab", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--control", "0", log=where / "lab.log"
    )
    try:
        services = await asyncio.to_thread(services_of, lab.said["control"])
        policy = where / "policy.yaml"
        policy.write_text(GENEROUS)
        places = [part for name in ("gateway", "switch", "madre") for part in (f"--{name}", services[name]["url"])]

        def start() -> object:
            return Process.start(
                "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--policy", str(policy), "--log-level", "warning",
                "--takeover", str(where / "takeover"), *places, log=where / "sidecar.log",
            )  # fmt: skip

        yield start, lab.said
    finally:
        await lab.end()


def services_of(control: str) -> dict[str, dict[str, str]]:
    """What the lab runs, by name."""
    with urllib.request.urlopen(control + "/") as answer:  # loopback
        found: dict[str, dict[str, str]] = json.load(answer)["services"]
        return found


def reloads_counted(admin: str) -> Counter[str]:
    """Reloads so far, by result."""
    with urllib.request.urlopen(f"http://{admin}/metrics") as answer:  # loopback
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("vx11_sidecar_policy_reloads_total{"):
            found[line.partition('result="')[2].partition('"')[0]] = int(float(line.rpartition(" ")[2]))
    return found


async def reloading(count: int, where: Path) -> tuple[Load, str]:
    """``count`` policies one after the other, every tenth of them wrong, each announced by SIGHUP."""
    async with deployment(where) as (start, _):
        sidecar: Process = await start()  # type: ignore[misc]
        load = Load(int(sidecar.said["listen"].rpartition(":")[2]), TOKEN)
        try:
            async with load.at_work():
                for number in range(count):
                    text = (
                        GENEROUS + f"deadline: {{client: {5000 + number}ms}}\n"
                        if number % 10
                        else "deadline: {client: 5}\n"
                    )
                    other = where / "policy.new"
                    other.write_text(text)
                    other.replace(where / "policy.yaml")
                    sidecar.signal(signal.SIGHUP)
                    await asyncio.sleep(0.03)
                await asyncio.sleep(1)
            done = await asyncio.to_thread(reloads_counted, sidecar.said["admin"])
        finally:
            await sidecar.end()
    return load, f"{done['changed']} taken, {done['failed']} refused, {done['unchanged']} found nothing new"


async def restarting(count: int, where: Path) -> tuple[Load, str]:
    """``count`` processes one after the other, each taking the sockets over from the one before it."""
    async with deployment(where) as (start, _):
        running: Process = await start()  # type: ignore[misc]
        load = Load(int(running.said["listen"].rpartition(":")[2]), TOKEN)
        codes: Counter[int] = Counter()
        longest = 0.0
        try:
            async with load.at_work():
                for _ in range(count):
                    began = time.monotonic()
                    following: Process = await start()  # type: ignore[misc]
                    codes[await running.ended()] += 1
                    longest = max(longest, time.monotonic() - began)
                    running = following
        finally:
            await running.end()
    ended = ", ".join(f"{many} ended with {code}" for code, many in sorted(codes.items()))
    return load, f"{ended}; the longest change took {longest:.1f} s"


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--restarts", type=int, default=50)
    arguments = parser.parse_args()
    failed = 0
    print(f"{'what':<28}{'answered, kept':>16}{'answered, fresh':>17}{'failed':>8}")
    for name, work, count in (("reloads", reloading, arguments.reloads), ("restarts", restarting, arguments.restarts)):
        with tempfile.TemporaryDirectory() as directory:
            load, told = await work(count, Path(directory))
        print(f"{count:>5} {name:<22}{load.answered['kept']:>16}{load.answered['fresh']:>17}{load.failed.total():>8}")
        print(f"      {told}{''.join(f'; {many} x {how}' for how, many in load.failed.items())}", flush=True)
        failed += load.failed.total()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
