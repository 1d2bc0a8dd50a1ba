"""The composition root: builds every object, wires them, starts them, and takes them down in order.

    data port   door -> relay -> gateway                    (everything that is not chat, byte for byte)
                     -> chat -> engine, upstream -> switch, madre
    admin port  metrics, health, state: its rooms are imported when the data port listens already
    facts       engine and edge -> journal, metrics, log, status

The only place that knows all rooms, and where tasks are created; those of chats belong to the answerer, which ends with everything else.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from types import TracebackType
from typing import Any, NamedTuple, Self

from sidecar.core.engine import Engine
from sidecar.edge.admin.calls import Calls
from sidecar.edge.admin.overrides import Overrides
from sidecar.edge.admin.status import Status, Watched
from sidecar.edge.admin.trend import Trend
from sidecar.edge.candidate import CandidateBeside
from sidecar.edge.chat import power, reply
from sidecar.edge.chat.answering import Answering
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.chat.upstream import Upstream
from sidecar.edge.data.port import DataPort
from sidecar.edge.data.relay import Relay
from sidecar.edge.data.terms import Lasting, terms
from sidecar.edge.data.witness import Memory
from sidecar.edge.listening import NONE, Listener, Listeners, listen
from sidecar.edge.outlets.journal import Journal
from sidecar.edge.outlets.log import FactLog, Log, Logging
from sidecar.edge.outlets.sink import Facts
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.outlets.tracing import PassedOn, Tracing, exported
from sidecar.edge.outlets.usage import Usage
from sidecar.edge.reload import Reloader, Source
from sidecar.edge.settings import Address, Settings, refuse_loop
from sidecar.edge.snapshot import InForce
from sidecar.edge.token import Open

GRACE = 8.0  # seconds that what is under way may still take when told to stop: docker kills after ten
SERVERS = 4  # that share the data port's socket: costs a new connection 2 µs, and lets four times as many in
SPARE_DESCRIPTORS = 64  # files, the journal, targets, the admin port
LAG_TICK = 0.5  # seconds between two looks at how late the loop is
_ADMIN = "sidecar.edge.admin.application"  # with aiohttp, a quarter of what there is to import; the first client need not wait

Read = Callable[[], Source]


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

    def __init__(
        self, settings: Settings, logging_: Logging, read: Read | None = None, listeners: Listeners = NONE
    ) -> None:
        """``read`` makes the next snapshot out of the files; without it a reload finds what is in force.

        ``listeners`` are sockets that listen already and take the place of the addresses in ``settings``.
        """
        self._settings = settings
        self._given = listeners
        self._read = read or (lambda: Source(settings.snapshot, settings.files, settings.mutators))
        self._mutators = settings.mutators
        self._reloader: Reloader[Source] | None = None
        self._beside: CandidateBeside | None = None  # only where there is a candidate: whoever wants none pays nothing
        self._reload_wanted = False
        self._logging = logging_
        self._in_force = InForce(settings.snapshot)
        self._emit = Facts(logging_.log)
        self._stack = AsyncExitStack()
        self._now = time.monotonic  # the loop's stands still within a turn and, with uvloop, counts in milliseconds

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        if self._reload_wanted:
            self.reload()
        self._status.blocked_by = None
        gc.freeze()  # what stands now stays for good: the collector need not look through it again
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.unfreeze()
        await self._stack.aclose()

    def reload(self) -> None:
        """Read policy and token files again, now or as soon as we serve; what cannot be used changes nothing and is said."""
        if self._reloader is None:
            self._reload_wanted = True
        else:
            self._reloader.reload("signal")
            if self._beside is not None:
                self._beside.reloader.reload("signal")

    async def drain(self, grace: float = GRACE, *, delay: float = 0.0, relieved: bool = False) -> None:
        """Unready at once; no new connections; what is under way may end within ``grace`` seconds, then it is cut.

        For ``delay`` seconds connections are still taken, until whoever sends them has seen that we are not ready. When another
        process has ``relieved`` us, it answers at the admin port, too.
        """
        self._status.blocked_by = "draining"
        if delay:
            await asyncio.sleep(delay)
        await self._data.finish()
        if relieved:
            self._admin.close()
        cut = await self._port.drain(grace)
        self._logging.log.info("drained", cut=cut)

    def descriptors(self) -> dict[str, Sequence[int]]:
        """Our listening sockets by port, for a process that takes over."""
        return {"data": self._data.descriptors, "admin": self._admin.descriptors}

    # -- building, in the order of dependence ---------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack) -> None:
        self._facts(stack)
        kitchen = self._kitchen(stack)
        tasks = _Tasks(self._logging.log)
        stack.push_async_callback(tasks.close)  # after the kitchen here is before it at the end: tasks ask upstream
        await self._data_port(stack, kitchen, tasks)
        tasks.spawn(power.listen(kitchen))
        reloader = self._operators(kitchen)
        if self._beside is not None:
            self._beside.begin(kitchen.engine)
        await self._admin_port(stack, kitchen, reloader)
        self._reloader = reloader
        tasks.spawn(reloader.watch())
        if self._beside is not None:
            tasks.spawn(self._beside.reloader.watch())
        tasks.spawn(self._overrides.expire())
        tasks.spawn(self._watch_lag())

    def _facts(self, stack: AsyncExitStack) -> None:
        """Where facts go. The journal comes first: it must have a policy before anything is decided by it."""
        settings = self._settings
        self._seed = secrets.randbits(63)
        self._telemetry = Telemetry(self._now)
        self._telemetry.watch_lines("log_dropped", lambda: self._logging.outbox.dropped)
        self._telemetry.watch_lines("log_suppressed", lambda: self._logging.sampling.suppressed)
        self._status = Status(self._now)
        if settings.journal is not None:
            journal = Journal(settings.journal, settings.snapshot.policy.journal, seed=self._seed)
            stack.callback(journal.close)
            self._telemetry.watch_lines("journal_dropped", lambda: journal.dropped)
            self._emit.add(journal)
        self._tracing: Tracing = PassedOn()
        traces = exported(os.environ, self._now)
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
            self._tracing = traces
            self._emit.add(traces)
        self._calls, self._trend, self._usage = Calls(), Trend(self._now), Usage()
        told = FactLog(self._logging.log)
        for sink in (self._telemetry, told, self._status, self._calls, self._trend, self._usage):
            self._emit.add(sink)
        if settings.candidate is not None:
            log, telemetry = self._logging.log, self._telemetry
            self._beside = CandidateBeside(
                settings.candidate, seed=self._seed, now=self._now, log=log, telemetry=telemetry
            )
            self._emit.add(self._beside.sink)

    def _kitchen(self, stack: AsyncExitStack) -> Kitchen:
        """Everything that answering a chat takes."""
        snapshot = self._settings.snapshot
        revision, source = snapshot.revision, snapshot.source
        engine = Engine(
            self._now(), snapshot.policy, revision=revision, source=source, seed=self._seed, emit=self._emit
        )
        upstream = Upstream()
        stack.callback(upstream.close)
        return Kitchen(engine, upstream, self._in_force, self._emit, self._now, self._logging.log, self._tracing)

    async def _data_port(self, stack: AsyncExitStack, kitchen: Kitchen, tasks: _Tasks) -> None:
        wanted, gateway = self._settings.listen, self._settings.gateway
        timeout = self._settings.snapshot.policy.relay.timeouts.connect
        relay = Relay(
            gateway.host, gateway.port, emit=self._emit, now=self._now, spawn=tasks.spawn, connect_timeout=timeout
        )
        stack.callback(relay.close)
        self._relay = relay
        chats = Answering(kitchen)
        stack.push_async_callback(chats.close)
        # Two sidecars in a row are no loop, so each instance has a name of its own.
        pseudonym = f"{reply.NAME}-{secrets.token_hex(4)}".encode()
        self._engine = kitchen.engine
        self._lasting = Lasting(relay, chats, self._emit, self._now, pseudonym, str(gateway).encode(), Memory())
        self._port = DataPort(terms(self._settings.snapshot, self._lasting), ceiling=_ceiling())
        self._data: Listener = await listen(self._port, self._given.data, wanted.host, wanted.port, servers=SERVERS)
        stack.callback(self._data.close)
        self._port.crowded = self._data.crowded
        self._listen = Address(wanted.host, self._data.port)
        refuse_loop(self._listen, gateway)  # again, now that a port 0 has become a number
        self._port.start()
        stack.push_async_callback(self._port.drain, 0.0)  # whoever is still there by then is cut

    def _operators(self, kitchen: Kitchen) -> Reloader[Source]:
        """What changes while we run: the policy, and what an operator overrides."""
        self._overrides = Overrides(kitchen.engine, self._now, self._logging.log)
        return Reloader(
            self._read,
            self._apply,
            self._in_force,
            self._settings.files,
            emit=self._emit,
            now=self._now,
            log=self._logging.log,
        )

    def _apply(self, source: Source) -> None:
        """Put a snapshot in force: engine, door and relay at one moment, for no request runs meanwhile."""
        snapshot = source.snapshot
        prepared = terms(snapshot, self._lasting)  # first: if this fails, nothing has changed
        if isinstance(snapshot.tokens, Open) and not isinstance(self._in_force.current.tokens, Open):
            self._logging.log.warning("auth_off", note="authentication is off: everybody may chat")
        if snapshot.revision != self._in_force.current.revision:
            self._engine.adopt(self._now(), snapshot.policy, revision=snapshot.revision, source=snapshot.source)
        self._in_force.current = snapshot
        self._mutators = source.mutators
        self._port.terms = prepared
        self._relay.connect_timeout = snapshot.policy.relay.timeouts.connect

    async def _admin_port(self, stack: AsyncExitStack, kitchen: Kitchen, reloader: Reloader[Source]) -> None:
        await asyncio.to_thread(import_module, _ADMIN)  # beside whoever asks the data port meanwhile
        from sidecar.edge.admin.application import Office, admin_port  # noqa: PLC0415 - just imported
        from sidecar.edge.admin.control import Control  # noqa: PLC0415

        settings, engine, port = self._settings, kitchen.engine, self._port
        self._telemetry.watch_engine(lambda: engine.gauges(self._now()))
        self._telemetry.watch_port(lambda: len(port), port.under_way)
        overrides = self._overrides
        beside = self._beside
        shadow = beside.view if beside else lambda: None
        watched = Watched(settings, self._in_force, engine, port, overrides.view, lambda: reloader.problems, shadow)
        office = Office(
            registry=self._telemetry.registry,
            in_force=self._in_force,
            readiness=lambda: self._status.readiness(watched, self.serving.admin),
            state=lambda: self._status.state(watched, self.serving.admin),
            explain=self._calls.explain,
            calls=lambda: self._calls.view(self._now()),
            trend=self._trend.view,
            control=Control(overrides, reloader, self._in_force, self._set_level, beside.reloader if beside else None),
            mutators=lambda: self._mutators,
            exposed=settings.admin_token is not None,
            usage=self._usage.view,
        )
        protocol, place = await admin_port(office, stack), settings.admin
        self._admin: Listener = await listen(protocol, self._given.admin, place.host, place.port)
        stack.callback(self._admin.close)
        self.serving = Serving(self._listen, Address(place.host, self._admin.port))

    def _set_level(self, level: str) -> None:
        self._logging.set_level(level)
        self._logging.log.warning("log_level_set", threshold=level)

    async def _watch_lag(self) -> None:
        """How late the loop wakes us is how late it serves everybody."""
        while True:
            due = self._now() + LAG_TICK
            await asyncio.sleep(LAG_TICK)
            late = max(self._now() - due, 0.0)
            if self._telemetry.lagged(late):
                self._logging.log.warning("loop_stalled", seconds=round(late, 3))
            self._logging.tick()
            if self._beside is not None:
                self._beside.sink.tick()


def _ceiling() -> int:
    """Client connections that the process has descriptors for: each may need a second one towards the gateway."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max((soft - SPARE_DESCRIPTORS) // 2, 1)


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
