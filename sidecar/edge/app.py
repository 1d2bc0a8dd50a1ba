"""The composition root of the process: puts its ports before a ``Runtime``, starts them, and takes everything down in order.

    data port   door -> relay -> gateway                    (everything that is not chat, byte for byte)
                     -> runtime: chat -> engine, upstream -> switch, madre
    admin port  metrics, health, state: its rooms are imported when the data port listens already

What is only of a process of our own is here: listening sockets, the gateway behind us, draining, and what the admin port remembers.
What both this root and ``sidecar.asgi`` need is the runtime's.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from sidecar.core.fact import TokenJudged
from sidecar.edge.admin.calls import Calls
from sidecar.edge.admin.colleagues import Colleagues
from sidecar.edge.admin.trend import Trend
from sidecar.edge.chat import reply
from sidecar.edge.data.port import DataPort
from sidecar.edge.data.relay import Relay
from sidecar.edge.data.terms import Lasting, terms
from sidecar.edge.data.witness import Memory
from sidecar.edge.descriptors import admin_connections, client_connections
from sidecar.edge.listening import NONE, Listener, Listeners, listen
from sidecar.edge.outlets.log import Logging
from sidecar.edge.outlets.usage import Usage
from sidecar.edge.reload import Source
from sidecar.edge.runtime import Read, Runtime, now
from sidecar.edge.settings import Address, Settings, refuse_loop

if TYPE_CHECKING:
    from sidecar.edge.admin.desk import Office

GRACE = 8.0  # seconds that what is under way may still take when told to stop: docker kills after ten
SERVERS = 4  # that share the data port's socket: costs a new connection 2 µs, and lets four times as many in
OWN = "127.0.0.1"  # where a worker can be asked about itself alone
_ADMIN = "sidecar.edge.admin.application"  # with aiohttp, a quarter of what there is to import; the first client need not wait


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
        self,
        settings: Settings,
        logging_: Logging,
        read: Read | None = None,
        listeners: Listeners = NONE,
        colleagues: Colleagues | None = None,
    ) -> None:
        """``read`` makes the next snapshot out of the files; without it a reload finds what is in force.

        ``listeners`` are sockets that listen already and take the place of the addresses in ``settings``. With ``colleagues`` this
        is one of several workers: they share the listeners, and what the admin port tells is about all of them.
        """
        self._colleagues = colleagues
        self._adopted: dict[int, Listener] = {}
        self._settings = settings
        self._given = listeners
        self._mutators = settings.mutators
        self._logging = logging_
        self._calls, self._trend, self._usage = Calls(), Trend(now), Usage()
        sinks = (self._calls, self._trend, self._usage)
        self._runtime = Runtime(settings, logging_, read, self._prepare, sinks)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        self._runtime.status.blocked_by = None
        gc.freeze()  # what stands now stays for good: the collector need not look through it again
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.unfreeze()
        await self._stack.aclose()

    def reload(self) -> None:
        """Read policy and token files again, now or as soon as we serve; what cannot be used changes nothing and is said."""
        self._runtime.reload()

    async def drain(self, grace: float = GRACE, *, delay: float = 0.0, relieved: bool = False) -> None:
        """Unready at once; no new connections; what is under way may end within ``grace`` seconds, then it is cut.

        For ``delay`` seconds connections are still taken, until whoever sends them has seen that we are not ready. When another
        process has ``relieved`` us, it answers at the admin port, too.
        """
        self._runtime.status.blocked_by = "draining"
        if delay:
            await asyncio.sleep(delay)
        await asyncio.gather(*(each.finish() for each in (self._data, *self._adopted.values())))
        if relieved:
            self._admin.close()
        cut = await self._port.drain(grace)
        self._logging.log.info("drained", cut=cut)

    def started_before(self, times: int) -> None:
        """How often a worker of our number was started before us."""
        self._runtime.telemetry.started_before(times)

    async def adopt(self, sockets: Mapping[int, socket.socket]) -> None:
        """Accept from these sockets, too, for colleagues who do not; no more from those that were named before and are not now."""
        for number in self._adopted.keys() - sockets.keys():
            await self._adopted.pop(number).finish()
        if self._runtime.status.blocked_by is None:
            for number in sockets.keys() - self._adopted.keys():
                place = self._settings.listen
                self._adopted[number] = await listen(self._port, (sockets[number].dup(),), place.host, place.port)

    def catch_up(self, token: str | None) -> None:
        """Hold what an operator has ordered of our colleagues before we came; ``token`` is the admin token, for who asks must have it."""
        assert self._colleagues is not None  # noqa: S101 - whoever is told this has some
        host = next(iter(self._runtime.in_force.current.policy.admin.hosts), "localhost")
        fields = {"Host": host} if token is None else {"Host": host, "X-VX11-Admin-Token": token}
        self._runtime.tasks.spawn(self._colleagues.catch_up(fields, self._control.follow))

    def descriptors(self) -> dict[str, Sequence[int]]:
        """Our listening sockets by port, for a process that takes over."""
        return {"data": self._data.descriptors, "admin": self._admin.descriptors}

    # -- building, in the order of dependence ---------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack) -> None:
        runtime = self._runtime
        runtime.build(stack)
        await self._data_port(stack)
        runtime.begin()
        await self._admin_port(stack)
        runtime.watch()

    async def _data_port(self, stack: AsyncExitStack) -> None:
        wanted, gateway, runtime = self._settings.listen, self._settings.gateway, self._runtime
        timeout = self._settings.snapshot.policy.relay.timeouts.connect
        spawn = runtime.tasks.spawn
        relay = Relay(gateway.host, gateway.port, emit=runtime.emit, now=now, spawn=spawn, connect_timeout=timeout)
        stack.callback(relay.close)
        self._relay = relay
        # Two sidecars in a row are no loop, so each instance has a name of its own.
        pseudonym = f"{reply.NAME}-{secrets.token_hex(4)}".encode()
        self._lasting = Lasting(relay, runtime.chats, runtime.emit, now, pseudonym, str(gateway).encode(), Memory())
        ceiling = client_connections(_descriptors())
        self._port = DataPort(terms(self._settings.snapshot, self._lasting), ceiling=ceiling)
        self._data: Listener = await listen(self._port, self._given.data, wanted.host, wanted.port, servers=SERVERS)
        stack.callback(self._data.close)
        self._port.crowded = self._data.crowded
        self._listen = Address(wanted.host, self._data.port)
        refuse_loop(self._listen, gateway)  # again, now that a port 0 has become a number
        self._port.start()
        stack.push_async_callback(self._port.drain, 0.0)  # whoever is still there by then is cut

    def _prepare(self, source: Source) -> Callable[[], None]:
        """The share of door, relay and admin port in a reload."""
        prepared = terms(source.snapshot, self._lasting)

        def put() -> None:
            self._mutators = source.mutators
            self._port.terms = prepared
            self._relay.connect_timeout = source.snapshot.policy.relay.timeouts.connect

        return put

    async def _admin_port(self, stack: AsyncExitStack) -> None:
        await asyncio.to_thread(import_module, _ADMIN)  # beside whoever asks the data port meanwhile
        from sidecar.edge.admin.application import admin_port  # noqa: PLC0415 - just imported
        from sidecar.edge.admin.desk import Desk  # noqa: PLC0415
        from sidecar.edge.admin.room import Room  # noqa: PLC0415

        room = Room(admin_connections(_descriptors()))
        office, place, given = self._office(), self._settings.admin, self._given.admin
        desk = Desk(office)
        if self._colleagues is not None:
            from sidecar.edge.admin.together import Together  # noqa: PLC0415

            own = await listen(await admin_port(desk, stack, room), (), OWN, 0)
            stack.callback(own.close)
            stack.callback(self._colleagues.close)
            self.own = Address(OWN, own.port)
            desk = Together(office, self._colleagues, now)
        self._admin: Listener = await listen(await admin_port(desk, stack, room), given, place.host, place.port)
        stack.callback(self._admin.close)
        self.serving = Serving(self._listen, Address(place.host, self._admin.port))

    def _office(self) -> Office:
        """What the admin port shows, and what can be ordered there."""
        from sidecar.edge.admin.control import Control  # noqa: PLC0415 - just imported
        from sidecar.edge.admin.desk import Office  # noqa: PLC0415

        settings, runtime, port = self._settings, self._runtime, self._port
        runtime.telemetry.watch_port(lambda: len(port), port.under_way)
        watched = runtime.watched(settings, port)
        self._control = Control(
            runtime.overrides,
            runtime.reloader,
            runtime.in_force,
            self._set_level,
            runtime.beside.reloader if runtime.beside else None,
            chaos=runtime.chaos,
        )
        return Office(
            registry=runtime.telemetry.registry,
            in_force=runtime.in_force,
            readiness=lambda: runtime.status.readiness(watched, self.serving.admin),
            state=lambda: runtime.status.state(watched, self.serving.admin),
            explain=self._calls.explain,
            calls=lambda: self._calls.view(now()),
            trend=self._trend,
            control=self._control,
            mutators=lambda: self._mutators,
            exposed=settings.exposed,
            judged=lambda result: runtime.emit(TokenJudged(now(), result)),
            usage=self._usage.view,
        )

    def _set_level(self, level: str) -> None:
        if level != self._logging.level:
            self._logging.set_level(level)
            self._logging.log.warning("log_level_set", threshold=level)


def _descriptors() -> int:
    """How many the process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
