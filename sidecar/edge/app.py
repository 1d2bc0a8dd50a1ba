"""The composition root: builds every object, wires them, starts them, and takes them down in order.

    data port   door -> relay -> gateway                    (everything that is not chat, byte for byte)
                     -> chat -> engine, upstream -> switch, madre
    admin port  metrics, health, state
    facts       engine and edge -> journal, metrics, log, status

The only place where tasks are created, and the only place that knows all rooms.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web

from sidecar.core.engine import Engine
from sidecar.core.fact import Fact
from sidecar.edge import handover, power, reply
from sidecar.edge.admin import Office, admin_application
from sidecar.edge.chat import chat_application
from sidecar.edge.journal import Journal
from sidecar.edge.kitchen import Kitchen
from sidecar.edge.log import FactLog, Log, Logging
from sidecar.edge.port import DataPort
from sidecar.edge.relay import Relay
from sidecar.edge.settings import Address, Settings, refuse_loop
from sidecar.edge.snapshot import InForce
from sidecar.edge.status import Status, Watched
from sidecar.edge.telemetry import TARGETS, Telemetry
from sidecar.edge.terms import Lasting, terms
from sidecar.edge.upstream import Upstream

GRACE = 8.0  # seconds that what is under way may still take when told to stop: docker kills after ten
BACKLOG = 1024
LAG_TICK = 0.5  # seconds between two looks at how late the loop is
KINDS = ("chat", "relay", "tunnel")


class Serving(NamedTuple):
    """Where the sidecar listens, once it does."""

    listen: Address
    admin: Address


class Sidecar:
    """The whole of it, as an async context: serving inside, taken down after.

    Entering raises OSError if a port cannot be had or the journal cannot be written, and UnusableSettingsError if the
    gateway's address turns out to be our own.
    """

    serving: Serving

    def __init__(self, settings: Settings, logging_: Logging) -> None:
        self._settings = settings
        self._logging = logging_
        self._in_force = InForce(settings.snapshot)
        self._sinks: list[Callable[[Fact], None]] = []
        self._stack = AsyncExitStack()
        self._now = (
            time.monotonic
        )  # not the loop's: uvloop's clock stands still within a turn and counts in milliseconds

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        self._status.blocked_by = None
        gc.collect()
        gc.freeze()  # what stands now stays for good: the collector need not look through it again
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.unfreeze()
        await self._stack.aclose()

    async def drain(self, grace: float = GRACE) -> None:
        """Unready at once; no new connections; what is under way may end within ``grace`` seconds, then it is cut."""
        self._status.blocked_by = "draining"
        self._server.close()
        cut = await self._port.drain(grace)
        self._logging.log.info("drained", cut=cut)

    # -- building, in the order of dependence ---------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack) -> None:
        self._facts(stack)
        tasks = _Tasks(self._logging.log)
        stack.push_async_callback(tasks.close)
        kitchen = self._kitchen(stack)
        await self._data_port(stack, kitchen, tasks)
        await self._admin_port(stack, kitchen)
        tasks.spawn(power.listen(kitchen))
        tasks.spawn(self._watch_lag())

    def _facts(self, stack: AsyncExitStack) -> None:
        """Where facts go. The journal comes first: it must have a policy before anything is decided by it."""
        settings = self._settings
        self._seed = secrets.randbits(63)
        self._telemetry = Telemetry(self._now)
        self._telemetry.watch_lost("log", lambda: self._logging.outbox.dropped)
        self._status = Status(self._now)
        if settings.journal is not None:
            journal = Journal(settings.journal, settings.snapshot.policy.journal, seed=self._seed)
            stack.callback(journal.close)
            self._telemetry.watch_lost("journal", lambda: journal.dropped)
            self._sinks.append(journal)
        self._sinks += [self._telemetry, FactLog(self._logging.log), self._status]

    def _emit(self, fact: Fact) -> None:
        """Tell everybody. Who cannot take a fact loses it: no decision may hang on who listens."""
        for sink in self._sinks:
            try:
                sink(fact)
            except Exception as error:  # noqa: BLE001 - as above
                self._logging.log.error("sink_failed", fact=type(fact).__name__, error=type(error).__name__)  # noqa: TRY400

    def _kitchen(self, stack: AsyncExitStack) -> Kitchen:
        """Everything that answering a chat takes."""
        snapshot = self._settings.snapshot
        revision, source = snapshot.revision, snapshot.source
        engine = Engine(
            self._now(), snapshot.policy, revision=revision, source=source, seed=self._seed, emit=self._emit
        )
        upstream = Upstream.open()
        stack.push_async_callback(upstream.close)
        return Kitchen(engine, upstream, self._in_force, self._emit, self._now, self._logging.log)

    async def _data_port(self, stack: AsyncExitStack, kitchen: Kitchen, tasks: _Tasks) -> None:
        wanted, gateway = self._settings.listen, self._settings.gateway
        timeout = self._settings.snapshot.policy.relay.timeouts.connect
        relay = Relay(
            gateway.host, gateway.port, emit=self._emit, now=self._now, spawn=tasks.spawn, connect_timeout=timeout
        )
        stack.callback(relay.close)
        chat = await _chat_server(stack, kitchen)
        # Two sidecars in a row are no loop, so each instance has a name of its own.
        pseudonym = f"{reply.NAME}-{secrets.token_hex(4)}".encode()
        lasting = Lasting(relay, chat, self._emit, self._now, pseudonym, str(gateway).encode())
        self._port = DataPort(terms(self._settings.snapshot, lasting))
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._port, wanted.host, wanted.port, backlog=BACKLOG)
        stack.callback(self._server.close)
        self._listen = Address(wanted.host, self._server.sockets[0].getsockname()[1])
        refuse_loop(self._listen, gateway)  # again, now that a port 0 has become a number
        self._port.start()
        stack.push_async_callback(self._port.drain, 0.0)  # whoever is still there by then is cut

    async def _admin_port(self, stack: AsyncExitStack, kitchen: Kitchen) -> None:
        settings, engine, port = self._settings, kitchen.engine, self._port
        self._telemetry.watch_each("retry_budget_balance", TARGETS, lambda target: engine.balance(self._now(), target))
        self._telemetry.watch_each("inflight_requests", KINDS, port.under_way)
        self._telemetry.watch("websocket_connections", lambda: port.under_way("tunnel"))
        watched = Watched(settings, self._in_force, engine, port, self._now)
        office = Office(
            registry=self._telemetry.registry,
            in_force=self._in_force,
            readiness=lambda: self._status.readiness(settings, self.serving.admin),
            state=lambda: self._status.state(watched),
            token=settings.admin_token,
        )
        runner = web.AppRunner(admin_application(office), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, settings.admin.host, settings.admin.port).start()
        self.serving = Serving(self._listen, Address(settings.admin.host, runner.addresses[0][1]))

    async def _watch_lag(self) -> None:
        """How late the loop wakes us is how late it serves everybody."""
        while True:
            due = self._now() + LAG_TICK
            await asyncio.sleep(LAG_TICK)
            self._telemetry.event_loop_lag_seconds.set(max(self._now() - due, 0.0))


async def _chat_server(stack: AsyncExitStack, kitchen: Kitchen) -> handover.ServerFactory:
    """The aiohttp server behind the door, proven to say when an answer is over."""
    done = logging.getLogger("sidecar.chat.done")
    done.setLevel(logging.INFO)  # aiohttp asks whether the access log is enabled; ours writes nothing to it
    runner = web.AppRunner(
        chat_application(kitchen),
        access_log_class=handover.Done,
        access_log=done,
        auto_decompress=False,
        handler_cancellation=True,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None  # noqa: S101 - set up above
    server: handover.ServerFactory = runner.server
    await handover.rehearse(server, "/")
    return server


class _Tasks:
    """Keeps everything that runs beside requests, and ends it.

    Not an ``asyncio.TaskGroup``: that would end everybody for the fault of one connection. A fault is logged instead.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("task_failed", error=type(error).__name__)

    async def close(self) -> None:
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
