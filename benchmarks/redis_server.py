"""A Redis of one's own: on a free port of loopback, nothing on disk, ended with the block."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from types import TracebackType
from typing import Self

from benchmarks.proxies.process import free_port

REDIS = shutil.which("redis-server")
STARTS = 10.0  # seconds


class RedisServer:
    """``password`` and ``settings`` are those of redis.conf. It may be stopped, held and started again."""

    def __init__(self, password: str | None = None, **settings: str) -> None:
        self._settings = {**settings, **({"requirepass": password} if password else {})}
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def start(self) -> None:
        assert REDIS is not None
        stated = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": tempfile.gettempdir(),
        }
        options = [part for name, value in {**stated, **self._settings}.items() for part in (f"--{name}", value)]
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(REDIS, *options, stdout=quiet, stderr=quiet)
        async with asyncio.timeout(STARTS):
            while not await self._listens():  # noqa: ASYNC110 - there is nothing that would tell
                await asyncio.sleep(0.01)

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    def hold(self) -> None:
        """It is there, and says nothing."""
        self._signal(signal.SIGSTOP)

    def release(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True
