"""The connections to the targets: made when they are needed, and kept for the next request.

Idle ones are closed after 4 s, because uvicorn closes them at 5 s and a POST that meets the closing is lost; names are resolved
for each connection, because containers come and go with the power windows. There is no limit: the limiter in the core is one, and says so.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable
from contextlib import suppress

from sidecar.core.vocabulary import ErrorKind
from sidecar.edge.chat.alarm import Alarm
from sidecar.edge.chat.exchange import Exchange, Result
from sidecar.edge.cork import Cork
from sidecar.wire import head
from sidecar.wire.heads import Heads
from sidecar.wire.target import Routes

KEEPALIVE = 4.0  # seconds; below uvicorn's 5

_NO_SOCKET = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})  # ours, and not the target's

Address = tuple[str, int]


class Pool:
    """Connections by address, for the life of the process."""

    def __init__(self) -> None:
        """Needs a running loop, which is kept: to ask for it costs a system call."""
        self.loop = asyncio.get_running_loop()
        self.heads = Heads(head.rules(Routes((), ()), pseudonym=b"vx11-sidecar", authority=b""))
        self._kept: dict[Address, list[Exchange]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._closing = False
        self._alarm = Alarm(self.loop)
        self.cork = Cork()

    async def ask(
        self, address: Address, method: bytes, message: bytes, within: float, connect: float, *, fresh: bool = False
    ) -> Result:
        """Send a whole request; its answer, or why there is none ``within`` so many seconds. Raises CancelledError alone.

        ``fresh``: on a connection of its own, whatever is kept.
        """
        loop = self.loop
        until = loop.time() + within
        exchange = None if fresh else self._take(address, loop.time())
        if exchange is None:
            made = await self._made(address, within, connect)
            if isinstance(made, ErrorKind):
                return made
            if not made.usable:  # it came about and ended within one turn of the loop
                return ErrorKind.RESET
            exchange = made
        asked = exchange.ask(method, message)
        exchange.until = until
        self._alarm.watch(asked, until, exchange.time_out)
        try:
            return await asked
        except asyncio.CancelledError:
            exchange.leave(asked)
            raise
        finally:
            self._alarm.forget(asked)

    def keep(self, exchange: Exchange) -> None:
        loop = self.loop
        exchange.since = loop.time()
        # Read after its time: how long the target has had the connection idle nobody knows.
        if self._closing or exchange.since > exchange.until:
            exchange.close()
            return
        self._kept.setdefault(exchange.address, []).append(exchange)
        if self._sweeping is None:
            self._sweeping = loop.call_later(KEEPALIVE, self._sweep)

    def forget(self, exchange: Exchange) -> None:
        with suppress(KeyError, ValueError):
            self._kept[exchange.address].remove(exchange)

    def close(self) -> None:
        """Close what is kept, and from now on whatever comes free."""
        self._closing = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        _close(exchange for kept in self._kept.values() for exchange in kept)
        self._kept.clear()

    def _take(self, address: Address, now: float) -> Exchange | None:
        """The connection used last, if it is young and whole."""
        kept = self._kept.get(address)
        while kept:
            exchange = kept.pop()
            if now - exchange.since <= KEEPALIVE and exchange.usable:
                return exchange
            exchange.close()
        return None

    def _sweep(self) -> None:
        """One timer for all that are idle, running while there are any: it closes what is too old."""
        loop = self.loop
        oldest = loop.time() - KEEPALIVE
        for address, kept in tuple(self._kept.items()):
            old = [exchange for exchange in kept if exchange.since <= oldest]
            self._kept[address] = kept[len(old) :]  # in the order of their age: the last one used is the next one taken
            _close(old)
        self._kept = {address: kept for address, kept in self._kept.items() if kept}
        ages = [kept[0].since for kept in self._kept.values()]
        self._sweeping = loop.call_at(min(ages) + KEEPALIVE, self._sweep) if ages else None

    async def _made(self, address: Address, within: float, connect: float) -> Exchange | ErrorKind:
        """In a task of asyncio's, for it takes a timeout. What comes about when nobody wants it any more is closed."""
        making = self.loop.create_task(self._connect(address, within, connect))
        try:
            return await making
        except asyncio.CancelledError:
            making.add_done_callback(_unwanted)
            raise

    async def _connect(self, address: Address, within: float, connect: float) -> Exchange | ErrorKind:
        loop = self.loop
        try:
            async with asyncio.timeout(min(within, connect)):
                _, exchange = await loop.create_connection(lambda: Exchange(self, address), *address)
        except TimeoutError:
            return ErrorKind.CONNECT_TIMEOUT if connect <= within else ErrorKind.TIMEOUT
        except (socket.gaierror, UnicodeError):  # UnicodeError: no host can have such a name
            return ErrorKind.DNS
        except OSError as error:
            return ErrorKind.NO_SOCKET if error.errno in _NO_SOCKET else ErrorKind.CONNECT
        return exchange


def _unwanted(making: asyncio.Task[Exchange | ErrorKind]) -> None:
    if making.cancelled() or making.exception() is not None:
        return
    made = making.result()
    if isinstance(made, Exchange):
        made.close()


def _close(exchanges: Iterable[Exchange]) -> None:
    for exchange in exchanges:
        exchange.close()
