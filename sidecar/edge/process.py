"""The life of the process: loop, signals, the line that says ready, the end.

SIGTERM or SIGINT drains; a second one ends at once. SIGHUP reloads. A further process started at the same takeover path gets our
sockets, and when it serves we drain, too. A service manager that asks for it is told of all of this.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import orjson

from sidecar.core.value import replace
from sidecar.edge.app import GRACE, Serving
from sidecar.edge.listening import Listeners, inherited
from sidecar.edge.notify import Notify
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import Settings, is_loopback
from sidecar.edge.takeover import Successors, ask
from sidecar.sources import running


class Leave(NamedTuple):
    """How to end.

    ``grace`` is the seconds that what is under way may take, ``delay`` those before it in which connections are still taken, and
    ``takeover`` the path at which another process may take over.
    """

    grace: float = GRACE
    delay: float = 0.0
    takeover: Path | None = None


class Whole(Protocol):
    """What is run: a sidecar, or a supervisor of several."""

    @property
    def serving(self) -> Serving: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def reload(self) -> None: ...
    async def drain(self, grace: float = GRACE, *, delay: float = 0.0, relieved: bool = False) -> None: ...
    def descriptors(self) -> dict[str, Sequence[int]]: ...


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


async def serve(
    settings: Settings, logging_: Logging, make: Callable[[Settings, Listeners], Whole], leave: Leave | None = None
) -> None:
    """Serve what ``make`` makes until told to stop; SIGHUP lets it reload. Raises OSError and ValueError.

    ``make`` gets sockets that listen already, if there are any.
    """
    leave = leave or Leave()
    raise_descriptor_limit()
    stop = Stop(leave)
    predecessor = ask(leave.takeover) if leave.takeover else None
    listeners = predecessor.listeners if predecessor else inherited(os.environ, os.getpid())
    sidecar = make(as_reached(settings, listeners), listeners)
    notify = Notify(os.environ, os.getpid(), taken_over=predecessor is not None)

    def reload() -> None:
        with notify.reloading():
            sidecar.reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)  # before: unheard it would end us
    async with sidecar, AsyncExitStack() as stack:
        stack.enter_context(notify)
        if settings.auth_off:
            logging_.log.warning("auth_off", note="authentication is off: everybody may chat")
        if predecessor:
            notify.main_process()
            await predecessor.relieve()
        if leave.takeover:
            await stack.enter_async_context(Successors(leave.takeover, sidecar.descriptors, stop.relieve))
        listen, admin = str(sidecar.serving.listen), str(sidecar.serving.admin)
        say({"event": "ready", "listen": listen, "admin": admin})
        logging_.log.info("ready", listen=listen, admin=admin, code=running())
        notify.ready(f"serving on {listen}, admin on {admin}")
        await stop.first.wait()
        if not stop.relieved:
            notify.stopping("draining")
        await stop.drain(sidecar)


class Stop:
    """The signals that end a process. Needs a running loop; one per process."""

    def __init__(self, leave: Leave | None = None) -> None:
        self.first = asyncio.Event()
        self._leave = leave or Leave()
        self.relieved = False
        self._again = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._heard)

    def _heard(self) -> None:
        (self._again if self.first.is_set() else self.first).set()

    def leave(self) -> None:
        """Drain; told again it is the same."""
        self.first.set()

    def cut(self) -> None:
        """End at once."""
        self.first.set()
        self._again.set()

    def relieve(self) -> None:
        """Another process serves in our place."""
        self.relieved = True
        self.first.set()

    async def drain(self, sidecar: Whole) -> None:
        """Let what is under way end; a further signal cuts it at once."""
        delay = 0.0 if self.relieved else self._leave.delay
        draining = sidecar.drain(self._leave.grace, delay=delay, relieved=self.relieved)
        tasks = (asyncio.ensure_future(draining), asyncio.ensure_future(self._again.wait()))
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


def as_reached(settings: Settings, listeners: Listeners) -> Settings:
    """Who opened the admin port for us decided who reaches it: off loopback it takes the admin token, whatever ``--admin`` says."""
    exposed = settings.exposed or any(_reached_from_elsewhere(sock) for sock in listeners.admin)
    return replace(settings, exposed=exposed)


def _reached_from_elsewhere(sock: socket.socket) -> bool:
    return sock.family != socket.AF_UNIX and not is_loopback(sock.getsockname()[0])


def raise_descriptor_limit() -> None:
    """As many connections as the system allows us: the soft limit is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
