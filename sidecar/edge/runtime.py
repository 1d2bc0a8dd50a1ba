"""What answers chats, wherever the sidecar stands: engine, targets, outlets, and what changes or watches them.

    facts    engine and edge -> journal, traces, metrics, log, status, the candidate beside
    kitchen  engine, upstream -> switch, madre; chaos
    changes  the policy in force, what an operator overrides
    tasks    power, health, files, the end of overrides and of chaos, the lag of the loop

Both composition roots build one: ``app`` puts a data port and an admin port of its own before it, ``sidecar.asgi`` the server of an
application. Whatever belongs to the one or the other alone, sockets and all, is not in here. This is where tasks are created; those of
chats belong to the answerer, which ends with everything else.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

from sidecar.core.engine import Engine
from sidecar.edge.admin.overrides import Overrides
from sidecar.edge.admin.status import Placed, Status, Traffic, Watched
from sidecar.edge.candidate import CandidateBeside
from sidecar.edge.chaos import Chaos
from sidecar.edge.chat import drive, health, power
from sidecar.edge.chat.answering import Answering
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.chat.store import Store, UnusableStoreError
from sidecar.edge.chat.upstream import Upstream
from sidecar.edge.environment import REDIS_URL
from sidecar.edge.outlets.journal import Journal
from sidecar.edge.outlets.log import FactLog, Log, Logging
from sidecar.edge.outlets.sink import Sink
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.outlets.telling import Facts
from sidecar.edge.outlets.tracing import PassedOn, Tracing, exported
from sidecar.edge.reload import Reloader, Source
from sidecar.edge.settings import UnusableSettingsError
from sidecar.edge.snapshot import Candidate, InForce, Snapshot
from sidecar.edge.token import Open, Tokens
from sidecar.edge.vitals import Lines, Vitals

LAG_TICK = 0.1  # seconds between two looks at how late the loop is: what of a stall falls before one is due is not seen
LAG_TICKS = 5  # of which the one that came latest is told

Read = Callable[[], Source]
Prepare = Callable[[Source], Callable[[], None]]

now = time.monotonic  # the loop's stands still within a turn and, with uvloop, counts in milliseconds


class Given(Protocol):
    """What is decided before anything is built."""

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def mutators(self) -> Tokens: ...
    @property
    def files(self) -> tuple[Path, ...]: ...
    @property
    def journal(self) -> Path | None: ...
    @property
    def candidate(self) -> Candidate | None: ...
    @property
    def allow_chaos(self) -> bool: ...
    @property
    def redis(self) -> str | None: ...


class Runtime:
    """One for the life of a composition root. ``build``, then ``begin`` when chats can come, then ``watch``."""

    telemetry: Telemetry
    status: Status
    kitchen: Kitchen
    chats: Answering
    overrides: Overrides
    chaos: Chaos
    reloader: Reloader[Source]
    tasks: Tasks

    def __init__(
        self, given: Given, logging_: Logging, read: Read | None, prepare: Prepare, sinks: Iterable[Sink] = ()
    ) -> None:
        """``read`` makes the next snapshot out of the files; without it a reload finds what is in force.

        ``prepare`` is the root's share of a reload: it makes ready what requests are judged by, may raise ValueError, and returns
        what puts that in force and cannot fail. ``sinks`` take facts, too.
        """
        self._given = given
        self._logging = logging_
        self._read = read or (lambda: Source(given.snapshot, given.files, given.mutators))
        self._prepare = prepare
        self._sinks = sinks
        self._tracing: Tracing = PassedOn()
        self._watching = self._reload_wanted = False
        self.in_force = InForce(given.snapshot)
        self.emit = Facts(logging_.log)
        self.beside: CandidateBeside | None = None  # only where there is a candidate: whoever wants none pays nothing

    @property
    def engine(self) -> Engine:
        return self.kitchen.engine

    def build(self, stack: AsyncExitStack) -> None:
        """Everything that answering takes; ``stack`` takes it down. Needs a running loop.

        Raises OSError if the journal cannot be written, and UnusableSettingsError if no store of ours can be where it is said to be.
        """
        seed = secrets.randbits(63)
        # A thread of its own, since that of the loop would stay in whoever's process this is.
        self._fetching = threading.Thread(target=drive.fetch, name="fetch", daemon=True)
        stack.callback(self._fetched)
        self._facts(stack, seed)
        self.kitchen = self._kitchen(stack, seed)
        self.tasks = Tasks(self._logging.log)
        # After the kitchen here is before it at the end: tasks and chats ask upstream.
        stack.push_async_callback(self.tasks.close)
        self.chats = Answering(self.kitchen)
        stack.push_async_callback(self.chats.close)
        self._changes()
        engine = self.engine
        self.telemetry.watch_engine(lambda: engine.gauges(now()))
        self.telemetry.watch_keys(self.chats.keys)

    def begin(self) -> None:
        """Chats can come: ask targets how they are, and let the candidate run beside."""
        self.tasks.spawn(power.listen(self.kitchen))
        if self.kitchen.store is not None:
            self.tasks.spawn(self.kitchen.store.keep())
        for target in health.PROBED:
            self.tasks.spawn(health.probe(self.kitchen, target))
        if self.beside is not None:
            self.beside.begin(self.engine)

    def watch(self) -> None:
        """Everything stands: look after files, overrides, chaos and the loop from now on."""
        self._watching = True
        self._fetching.start()
        self.tasks.spawn(self.reloader.watch())
        if self.beside is not None:
            self.tasks.spawn(self.beside.reloader.watch())
        self.tasks.spawn(self.overrides.expire())
        self.tasks.spawn(self.chaos.watch())
        self.tasks.spawn(self._watch_lag())
        if self._reload_wanted:
            self.reload()

    def reload(self) -> None:
        """Read policy and token files again, now or as soon as we watch; what cannot be used changes nothing and is said."""
        if not self._watching:
            self._reload_wanted = True
            return
        self.reloader.reload("signal")
        if self.beside is not None:
            self.beside.reloader.reload("signal")

    def watched(self, place: Placed, traffic: Traffic) -> Watched:
        """What ``status`` looks at. ``place`` is where we stand, ``traffic`` what comes through there."""
        beside, reloader = self.beside, self.reloader
        shadow = beside.view if beside else lambda: None
        views = (self.overrides.view, lambda: reloader.problems, shadow, self.chats.keys)
        return Watched(place, self.in_force, self.engine, traffic, *views, self.chaos, lambda: self._logging.level)

    def _fetched(self) -> None:
        if self._fetching.ident is not None:
            self._fetching.join()

    # -- building, in the order of dependence ---------------------------------------------------------------------

    def _facts(self, stack: AsyncExitStack, seed: int) -> None:
        """Where facts go. The journal comes first: it must have a policy before anything is decided by it."""
        given, logging = self._given, self._logging
        self.telemetry = telemetry = Telemetry(now)
        telemetry.watch_lines("log_dropped", lambda: logging.outbox.dropped)
        telemetry.watch_lines("log_suppressed", lambda: logging.sampling.suppressed)
        outlets: dict[str, Lines] = {"log": logging.outbox}
        self.status = Status(now)
        if given.journal is not None:
            journal = Journal(given.journal, given.snapshot.policy.journal, seed=seed)
            stack.callback(journal.close)
            telemetry.watch_lines("journal_dropped", lambda: journal.dropped)
            self.emit.add(journal)
            outlets["journal"] = journal
        self._vitals = Vitals(logging.log, now, outlets, telemetry.exhausted)
        traces = exported(os.environ, now)
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
            self._tracing = traces
            self.emit.add(traces)
        for sink in (telemetry, FactLog(logging.log), self.status, *self._sinks):
            self.emit.add(sink)
        if given.candidate is not None:
            self.beside = CandidateBeside(given.candidate, seed=seed, now=now, log=logging.log, telemetry=telemetry)
            self.emit.add(self.beside.sink)

    def _kitchen(self, stack: AsyncExitStack, seed: int) -> Kitchen:
        """Everything that answering a chat takes."""
        snapshot, log = self._given.snapshot, self._logging.log
        revision, source = snapshot.revision, snapshot.source
        engine = Engine(now(), snapshot.policy, revision=revision, source=source, seed=seed, emit=self.emit)
        upstream = Upstream()
        stack.callback(upstream.close)
        self.chaos = Chaos(now, time.time, self.emit, log, allowed=self._given.allow_chaos)
        self.chaos.adopt(snapshot.policy.chaos)
        common = (engine, upstream, self.in_force, self.emit, now, log, self._tracing)
        return Kitchen(*common, chaos=self.chaos, store=self._store(stack))

    def _store(self, stack: AsyncExitStack) -> Store | None:
        """What replicas share, if there is to be anything."""
        if self._given.redis is None:
            return None
        try:
            store = Store(self._given.redis, lambda: self.in_force.current.policy.shared, self.emit, now)
        except UnusableStoreError as error:
            raise UnusableSettingsError(f"{REDIS_URL}: {error}") from None
        stack.push_async_callback(store.close)
        return store

    def _changes(self) -> None:
        """What changes while we run: the policy, and what an operator overrides."""
        log = self._logging.log
        self.overrides = Overrides(self.engine, now, log)
        self.reloader = Reloader(
            self._read, self._apply, self.in_force, self._given.files, emit=self.emit, now=now, log=log
        )

    def _apply(self, source: Source) -> None:
        """Put a snapshot in force: engine, answerer and the root's share at one moment, for no request runs meanwhile."""
        snapshot = source.snapshot
        put = self._prepare(source)  # first: if this fails, nothing has changed
        if isinstance(snapshot.tokens, Open) and not isinstance(self.in_force.current.tokens, Open):
            self._logging.log.warning("auth_off", note="authentication is off: everybody may chat")
        if snapshot.revision != self.in_force.current.revision:
            self.engine.adopt(now(), snapshot.policy, revision=snapshot.revision, source=snapshot.source)
            self.chaos.adopt(snapshot.policy.chaos)
        self.in_force.current = snapshot
        self.chats.adopt()
        put()

    async def _watch_lag(self) -> None:
        """How late the loop wakes us is how late it serves everybody."""
        while True:
            late = 0.0
            for _ in range(LAG_TICKS):
                due = now() + LAG_TICK
                await asyncio.sleep(LAG_TICK)
                late = max(now() - due, late)
            if self.telemetry.lagged(late):
                self._logging.log.warning("loop_stalled", seconds=round(late, 3))
            self._vitals.look()
            self._logging.tick()
            if self.beside is not None:
                self.beside.sink.tick()


class Tasks:
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
