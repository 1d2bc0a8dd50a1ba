"""The supervisor: holds the sockets, keeps so many workers on them, and stands where a sidecar of one process stands.

A worker that ends is started again: the first time at once, then after pauses that double up to ``LONGEST_PAUSE``, until one
has served for ``STEADY`` seconds. Meanwhile its colleagues accept what waits for it, for sockets stay open, whoever ends
(``assignment``). Before all have served for the first time nothing is tried again: what keeps one from starting keeps every
one, and somebody waits to be told.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from sidecar.edge.app import GRACE, Serving
from sidecar.edge.listening import NONE, Listeners, opened
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import Address, Settings, refuse_loop
from sidecar.edge.workers.assignment import Assignment
from sidecar.edge.workers.child import Child, Words

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a worker is started again
STEADY = 60.0  # seconds of serving after which an end is no sign of another
MOMENT = 0.5  # seconds in which a service manager has signalled all processes of a service
SLACK = 2.0  # seconds beyond its grace that a worker may take to end

Command = Callable[[Serving, int], Sequence[str]]


class WorkerFailedError(ValueError):
    """A worker did not come to serve; what kept it from that it has said itself."""


class Supervisor:
    """Like a ``Sidecar`` an async context: serving inside, taken down after; the same can be asked of it.

    Entering raises OSError if a port cannot be had, and WorkerFailedError if a worker cannot serve.
    """

    serving: Serving

    def __init__(
        self, settings: Settings, logging_: Logging, command: Command, count: int, listeners: Listeners = NONE
    ) -> None:
        """``command`` starts the worker of a number where the ports are what they are; ``count`` is how many there are."""
        self._settings = settings
        self._given = listeners
        self._log = logging_.log
        self._command = command
        self._count = count
        self._children: dict[int, Child] = {}  # by number: those that run
        self._sockets: dict[str, tuple[socket.socket, ...]] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._complete = asyncio.Event()  # all have served once
        self._ending = False

    async def __aenter__(self) -> Self:
        try:
            await self._open()
            self._keepers = [asyncio.create_task(self._keep(number)) for number in range(self._count)]
            await self._all_serve()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def reload(self) -> None:
        """Let every worker read policy and token files again."""
        self._tell({"event": "reload"})

    async def drain(self, grace: float = GRACE, *, delay: float = 0.0, relieved: bool = False) -> None:
        """Let the workers end: as a ``Sidecar`` does, after ``delay`` and within ``grace`` seconds, which they were told at their start."""
        self._ending = True
        self._close_sockets()  # the workers have them: once they stop accepting nobody is left to wait for
        how = "cut" if not grace else "relieved" if relieved else "drain"
        self._tell({"event": "leave", "how": how})
        children = tuple(self._children.values())
        with suppress(TimeoutError):
            async with asyncio.timeout((0.0 if relieved else delay) + grace + SLACK):
                await asyncio.gather(*(child.ended() for child in children))

    def descriptors(self) -> dict[str, Sequence[int]]:
        """Our listening sockets by port, for a process that takes over."""
        return {port: [sock.fileno() for sock in sockets] for port, sockets in self._sockets.items()}

    # -- sockets ----------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        settings, given = self._settings, self._given
        self._sockets["data"] = given.data or await opened(*settings.listen, self._count)
        self._sockets["admin"] = given.admin or await opened(*settings.admin)
        listen, admin = (
            Address(place.host, int(self._sockets[port][0].getsockname()[1]))
            for port, place in (("data", settings.listen), ("admin", settings.admin))
        )
        refuse_loop(listen, settings.gateway)
        self.serving = Serving(listen, admin)

    async def _close(self) -> None:
        """Nobody is left behind: whoever has not ended by now is killed."""
        self._ending = True
        for child in self._children.values():
            child.kill()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._close_sockets()

    def _close_sockets(self) -> None:
        for sock in (sock for sockets in self._sockets.values() for sock in sockets):
            sock.close()

    # -- workers ----------------------------------------------------------------------------------------------------

    async def _all_serve(self) -> None:
        """Until every worker serves. Raises WorkerFailedError as soon as one cannot."""
        complete = asyncio.create_task(self._complete.wait())
        try:
            await asyncio.wait((complete, *self._keepers), return_when=asyncio.FIRST_COMPLETED)
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()
        finally:
            complete.cancel()

    async def _keep(self, number: int) -> None:
        """Have a worker of this number, until we end."""
        loop, starts, pause = asyncio.get_running_loop(), 0, 0.0
        while not self._ending:
            began = loop.time()
            try:
                code: int | str = await self._once(number, starts)
            except OSError as error:  # no process, no descriptor: that may pass
                code = error.strerror or type(error).__name__
            if code == 0:  # it was told to leave, and whoever told it may be about to tell us
                await asyncio.sleep(MOMENT)
            if self._ending:
                return
            if not self._complete.is_set():
                raise WorkerFailedError(f"worker {number} did not come to serve ({_said(code)})")
            steady = loop.time() - began >= STEADY
            pause = 0.0 if steady else min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE) if starts else pause
            self._log.error("worker_ended", worker=number, code=code, again_in_seconds=pause)
            await asyncio.sleep(pause)
            starts += 1

    async def _once(self, number: int, starts: int) -> int:
        """One worker, from its start to its exit code."""
        sockets = self._sockets
        data, admin = ([sock.fileno() for sock in sockets[port]] for port in ("data", "admin"))
        assignment = Assignment(number, self._count, data, admin, starts)
        child = await Child.start(self._command(self.serving, number), assignment)
        self._children[number] = child
        if self._ending:  # meanwhile
            child.kill()
        try:
            async for _ in child.said():  # a worker says once that it serves
                self._log.info("worker_serves", worker=number, pid=child.pid, desk=child.desk)
                self._introduce()
            return await child.ended()
        finally:
            child.kill()
            del self._children[number]
            self._introduce()

    def _introduce(self) -> None:
        """Tell everybody where everybody can be asked."""
        desks = {str(number): child.desk for number, child in sorted(self._children.items()) if child.desk}
        self._tell({"event": "colleagues", "desks": desks})
        if len(desks) == self._count:
            self._complete.set()

    def _tell(self, words: Words) -> None:
        for child in self._children.values():
            child.tell(words)


def _said(code: int | str) -> str:
    return f"exit code {code}" if isinstance(code, int) else code
