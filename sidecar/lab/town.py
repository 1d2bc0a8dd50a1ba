"""A small VX11, on loopback unless told otherwise: gateway, switch and madre, and a control port to break and mend them.

``async with Lab() as lab:`` starts the town; ``lab.switch_url`` and its sisters say where it is, ``await
lab.fault("switch", "hang")`` breaks it, ``await lab.clear("switch")`` mends it. It needs no rights, no containers and
no files, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Self

from sidecar.lab.caller import Caller, session
from sidecar.lab.control import Control
from sidecar.lab.faults import SERVICES, Faults, Order, order, parse
from sidecar.lab.gateway import Gateway
from sidecar.lab.listener import KEEP_ALIVE, LOOPBACK, App, Listener
from sidecar.lab.luck import new_seed
from sidecar.lab.madre import Madre
from sidecar.lab.pace import Pace
from sidecar.lab.switch import Switch

DEFAULT_TOKEN = "vx11-local-token"  # noqa: S105  the one every compose file of VX11 sets


class Lab:
    """Ports of 0 are chosen by the system. ``tempo`` scales every wait of the lab: 0.01 is a hundred times faster.
    Only idle connections are kept by the wall clock, for ``keep_alive`` seconds: a client's pool drops them a little earlier by a clock of
    its own, and a tempo that outran it would close them under a request that is just being sent.

    ``faults`` are those that are on from the start, as they are written on a command line: ``switch=hang``. ``seed`` decides what they draw
    (``luck``); chosen where it is not given, and then told by ``lab.seed`` and the control port. ``host`` is an IPv4
    address of this machine; everybody who reaches it may use and break the lab. Entering raises OSError for an address that cannot be
    had, with the name of the service as its file name.
    """

    def __init__(
        self,
        *,
        host: str = LOOPBACK,
        gateway_port: int = 0,
        switch_port: int = 0,
        madre_port: int = 0,
        control_port: int = 0,
        token: str = DEFAULT_TOKEN,
        tempo: float = 1.0,
        keep_alive: float = KEEP_ALIVE,
        faults: tuple[str, ...] = (),
        seed: int | None = None,
    ) -> None:
        self.token = token
        self.seed = new_seed() if seed is None else seed
        self.pace = Pace(tempo)
        self._host = host
        self._keep_alive = keep_alive
        self._ports = {"gateway": gateway_port, "switch": switch_port, "madre": madre_port}
        self._control_port = control_port
        self._first = tuple(parse(text) for text in faults)
        self._urls: dict[str, str] = {}
        self._faults = {name: Faults(name, self.seed) for name in SERVICES}
        self._listeners: dict[str, Listener] = {}
        self._exit = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        caller = Caller(self.pace, await stack.enter_async_context(session()), self.token)
        faults = self._faults
        self.switch = Switch(self.pace, faults["switch"], self.token)
        self.madre = Madre(self.pace, faults["madre"], self.token, caller, self._urls)
        self.gateway = Gateway(self.pace, faults["gateway"], self.token, caller, self._urls)
        apps: dict[str, App] = {"gateway": self.gateway, "switch": self.switch, "madre": self.madre}
        for name, app in apps.items():
            self._listeners[name] = Listener(app, faults[name], self._host, keep_alive=self._keep_alive)
            await self._open(stack, name, self._listeners[name], self._ports[name])
        control = Listener(Control(self), host=self._host, keep_alive=self._keep_alive)
        await self._open(stack, "control", control, self._control_port)
        for wanted in self._first:
            await self._take(wanted)

    async def _open(self, stack: contextlib.AsyncExitStack, name: str, listener: Listener, port: int) -> None:
        stack.push_async_callback(listener.close)
        try:
            await listener.open(port)
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from None
        self._urls[name] = listener.url

    @property
    def gateway_url(self) -> str:
        return self._urls["gateway"]

    @property
    def switch_url(self) -> str:
        return self._urls["switch"]

    @property
    def madre_url(self) -> str:
        return self._urls["madre"]

    @property
    def control_url(self) -> str:
        return self._urls["control"]

    @property
    def urls(self) -> dict[str, str]:
        """By name: gateway, switch, madre, control."""
        return dict(self._urls)

    @property
    def executed(self) -> list[str]:
        """The texts the real switch would have handed to a shell; nothing was run."""
        return list(self.switch.executed)

    @property
    def rows(self) -> dict[str, int]:
        """The rows madre's calls left behind, by table: a repeated call shows."""
        return dict(self.madre.rows)

    async def fault(self, service: str, fault: str) -> None:
        """``("switch", "hang")``, ``("switch", "slow:1.5")``, ``("switch", "ok")``; ValueError says what exists."""
        await self._take(order(service, fault))

    async def order(self, text: str) -> None:
        """The same as one line: ``switch=hang``."""
        await self._take(parse(text))

    async def clear(self, service: str | None = None) -> None:
        """All faults of one service, or of all."""
        for name in SERVICES if service is None else (service,):
            await self._take(order(name, "ok"))

    async def _take(self, wanted: Order) -> None:
        self._faults[wanted.service].take(wanted)
        await self._listeners[wanted.service].follow()

    def faults(self) -> dict[str, list[str]]:
        return {name: faults.names() for name, faults in self._faults.items()}

    def requests(self, service: str) -> dict[str, int]:
        """How often each method and path was asked of a service."""
        return dict(self._listeners[service].requests)

    def state(self) -> dict[str, Any]:
        """Everything there is to know, as the control port shows it."""
        services = {
            name: {
                "url": self._urls[name],
                "faults": self._faults[name].names(),
                "in_flight": listener.in_flight,
                "requests": dict(listener.requests),
            }
            for name, listener in self._listeners.items()
        }
        rows, power = self.rows, self.madre.power.state()
        executed = len(self.switch.executed)
        return {
            "tempo": self.pace.tempo,
            "seed": self.seed,
            "services": services,
            "madre_rows": rows,
            "power": power,
            "executed": executed,
        }
