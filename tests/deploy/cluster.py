"""What a cluster does when pods are replaced, on loopback: a Service that learns late which pods are ready, and pods that end in order."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.zero_loss import Process

PROBE = 0.1  # seconds between two readiness probes
LATE = 1.0  # seconds until everybody who sends connections knows that a pod is ready no more


class Forwarder:
    """Hands TCP connections to one of the ports in ``ends``, by turns; a connection to nobody is closed. As a context it listens."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.refused = 0
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.CancelledError):
            if not self.ends:
                self.refused += 1
                return
            try:
                far = await asyncio.open_connection("127.0.0.1", self.ends[next(self._turn) % len(self.ends)])
            except OSError:
                self.refused += 1
                return
            with contextlib.closing(far[1]):
                await asyncio.gather(_pump(reader, far[1]), _pump(far[0], writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


class Pod:
    """A gateway (a forwarder to the lab's) and the sidecar in front of it."""

    def __init__(self, sidecar: Process, gateway: Forwarder) -> None:
        self.sidecar = sidecar
        self.gateway = gateway
        self.port = int(sidecar.said["listen"].rpartition(":")[2])

    @classmethod
    async def start(cls, gateway: Forwarder, places: list[str], leave: tuple[str, ...], where: Path) -> Pod:
        flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *places, "--gateway", f"127.0.0.1:{gateway.port}"]
        return cls(await Process.start("serve", *flags, *leave, log=where / "pod.log"), gateway)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.sidecar.said['admin']}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    async def end(self, *, gateway_sleeps: float | None) -> None:
        """As the kubelet does: preStop hooks of all containers at once, then the gateway's SIGTERM, then the sidecar's.

        Where the gateway sleeps in its hook, the sidecar is told to end in its own; else it is told when the gateway has ended.
        """
        if gateway_sleeps is not None:
            self.sidecar.signal(signal.SIGTERM)
            await asyncio.sleep(gateway_sleeps)
        await self.gateway.close()
        if gateway_sleeps is None:
            await asyncio.sleep(LATE)  # a gateway takes its time to end
            self.sidecar.signal(signal.SIGTERM)
        assert await self.sidecar.ended() == 0


class Service(Forwarder):
    """Forwards to the pods that are ready, as it knows: it learns of a new one at once, and ``LATE`` of one that is ready no more."""

    async def follow(self, pod: Pod) -> None:
        """Until the pod is out of it again."""
        while not await asyncio.to_thread(pod.ready):  # noqa: ASYNC110 - a probe is all there is to look at
            await asyncio.sleep(PROBE)
        self.ends.append(pod.port)
        while await asyncio.to_thread(pod.ready):  # noqa: ASYNC110 - as above
            await asyncio.sleep(PROBE)
        await asyncio.sleep(LATE)
        self.ends.remove(pod.port)
