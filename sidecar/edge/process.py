"""The life of the process: loop, signals, the line that says ready, the end.

SIGTERM or SIGINT drains; a second one ends at once. SIGHUP reloads.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import orjson

from sidecar.edge.app import Read, Sidecar
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import Settings


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on the fastest loop there is."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - not on every platform
    except ImportError:
        factory = asyncio.new_event_loop
    else:
        factory = new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


async def serve(settings: Settings, logging_: Logging, read: Read | None = None) -> None:
    """Serve until told to stop; SIGHUP reads policy and token files again, by ``read``."""
    _raise_descriptor_limit()
    stop = Stop()
    sidecar = Sidecar(settings, logging_, read)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, sidecar.reload)  # before: unheard it would end us
    async with sidecar:
        if settings.auth_off:
            logging_.log.warning("auth_off", note="authentication is off: everybody may chat")
        say({"event": "ready", "listen": str(sidecar.serving.listen), "admin": str(sidecar.serving.admin)})
        logging_.log.info("ready", listen=str(sidecar.serving.listen), admin=str(sidecar.serving.admin))
        await stop.first.wait()
        await stop.drain(sidecar)


class Stop:
    """The signals that end a process. Needs a running loop; one per process."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self._again = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._heard)

    def _heard(self) -> None:
        (self._again if self.first.is_set() else self.first).set()

    async def drain(self, sidecar: Sidecar) -> None:
        """Let what is under way end; a second signal cuts it at once."""
        tasks = (asyncio.ensure_future(sidecar.drain()), asyncio.ensure_future(self._again.wait()))
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()
        if self._again.is_set():
            await sidecar.drain(0)


def say(event: dict[str, Any]) -> None:
    """One line of JSON on standard output: the only thing ever written there by ``serve``."""
    sys.stdout.write(orjson.dumps(event).decode() + "\n")
    sys.stdout.flush()


def _raise_descriptor_limit() -> None:
    """As many connections as the system allows us: the soft limit is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
