"""A small service manager: what systemd does for vx11-sidecar.service, as far as the service can tell.

It opens the sockets, starts the process with them from descriptor 3 on, listens at ``NOTIFY_SOCKET``, and kills a process that has
been silent for longer than the watchdog allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple, Self

FROM = 100  # descriptors that no process opens by itself
# What systemd does between fork and exec: descriptors from 3 on, and the pid they are meant for.
START = 'exec 3<&{0} 4<&{1} {0}<&- {1}<&-; export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$@"'
PATIENCE = 30.0


class Told(NamedTuple):
    """One message of the service: when it came, and what it says."""

    at: float
    says: dict[str, str]


class Service:
    """The service and its two sockets, as an async context; nothing of it outlives that."""

    def __init__(self, command: list[str], where: Path, environ: dict[str, str], *, watchdog: float = 0.0) -> None:
        self._command = command
        self._where = where
        self._environ = environ
        self._watchdog = watchdog
        self.told: list[Told] = []
        self._heard = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self._inherited = [fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, FROM) for sock in self._sockets]
        self._directory = tempfile.TemporaryDirectory()  # a short path: an address has 107 bytes
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setblocking(False)
        self._notify.bind(f"{self._directory.name}/notify")
        asyncio.get_running_loop().add_reader(self._notify, self._hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._notify)
        self._notify.close()
        for descriptor in self._inherited:
            os.close(descriptor)
        for sock in self._sockets:
            sock.close()
        self._directory.cleanup()

    @property
    def ports(self) -> list[int]:
        return [sock.getsockname()[1] for sock in self._sockets]

    @property
    def log(self) -> str:
        return (self._where / "service.log").read_text()

    @property
    def running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._notify.recv(4096).decode().split("\n")
                self.told.append(Told(time.monotonic(), dict(line.split("=", 1) for line in lines)))
                self._heard.set()

    def said(self, name: str) -> int:
        """In how many messages ``name`` was said."""
        return sum(name in told.says for told in self.told)

    async def hears(self, condition: Callable[[], bool], within: float = PATIENCE) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    async def start(self, *, wait: bool = True) -> None:
        """Returns when the service has said READY=1."""
        before = self.said("READY")
        environ = {
            **os.environ,
            **self._environ,
            "LISTEN_FDS": "2",
            "LISTEN_FDNAMES": "data:admin",
            "NOTIFY_SOCKET": f"{self._directory.name}/notify",
        }
        if self._watchdog:
            environ["WATCHDOG_USEC"] = str(round(self._watchdog * 1e6))
        with (self._where / "service.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "/bin/bash", "-c", START.format(*self._inherited), "bash", *self._command,
                stdout=log, stderr=log, env=environ, pass_fds=self._inherited,
            )  # fmt: skip
        if wait:
            await self._started(before)

    async def _started(self, before: int) -> None:
        ended = asyncio.ensure_future(self.running.wait())
        ready = asyncio.ensure_future(self.hears(lambda: self.said("READY") > before))
        await asyncio.wait((ended, ready), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise AssertionError(f"ended with {ended.result()} before it was ready: {self.log}")
        ended.cancel()
        ready.result()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            return await self.running.wait()

    async def watch(self) -> float:
        """Waits until the service has been silent for longer than its watchdog allows; ends it as systemd would.

        Returns the seconds that it had been silent.
        """
        while (silent := time.monotonic() - self.told[-1].at) <= self._watchdog:  # noqa: ASYNC110 - silence is what is awaited
            await asyncio.sleep(self._watchdog - silent + 0.01)
        self.running.send_signal(signal.SIGABRT)
        async with asyncio.timeout(PATIENCE):
            await self.running.wait()
        return silent


@contextlib.asynccontextmanager
async def served(where: Path, *arguments: str, watchdog: float = 0.0, **environ: str) -> AsyncIterator[Service]:
    """``sidecar serve`` under the manager, not started yet."""
    command = [sys.executable, "-m", "sidecar", "serve", *arguments]
    async with Service(command, where, environ, watchdog=watchdog) as service:
        yield service
