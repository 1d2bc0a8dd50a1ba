"""The way to the gateway: its connections, made when they are needed and kept for the next request.

A kept connection that turns out to be closed is passed over before the first byte. The gateway closes idle connections
after five seconds, so we close them after four: whoever reuses one later than the other side keeps it loses requests.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from sidecar.core.fact import Emit
from sidecar.edge.data.exchange import Client, Exchange
from sidecar.edge.data.leg import Leg
from sidecar.wire.heads import Heads
from sidecar.wire.request import Request

KEPT_FOR = 4.0
MOST_KEPT = 256
LOOKED_AT_AFTER = 0.5  # seconds idle, from which a kept connection is worth a system call to see whether it was closed

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Relay:
    """The gateway and the connections to it. Lives as long as the process; policy reloads change ``connect_timeout``."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        emit: Emit,
        now: Callable[[], float],
        spawn: Spawn,
        connect_timeout: float,
        kept_for: float = KEPT_FOR,
    ) -> None:
        self.host = host
        self.port = port
        self.emit = emit
        self.now = now
        self.connect_timeout = connect_timeout
        self.date = b""
        self.unanswered = 0
        self._spawn = spawn
        self._kept_for = kept_for
        self._kept: list[Exchange] = []
        self._closing = False

    def open(self, client: Client, request: Request, head: bytes, heads: Heads) -> Exchange:
        """Send ``head``, now or as soon as a connection stands. The body follows by ``Leg.send``."""
        now = self.now()
        leg = self._take(now)
        if leg is None:
            return self.again(client, request, head, heads)
        leg.begin(now, client, request, head, heads)
        return leg

    def again(self, client: Client, request: Request, message: bytes, heads: Heads) -> Exchange:
        """Send ``message``, all there is of the request so far, on a new connection."""
        leg = Leg(self)
        leg.begin(self.now(), client, request, message, heads)
        client.hold()
        leg.connecting = self._spawn(self._connect(leg))
        return leg

    def keep(self, now: float, leg: Exchange) -> None:
        if self._closing or len(self._kept) >= MOST_KEPT:
            leg.drop()
            return
        leg.since = now
        self._kept.append(leg)

    def forget(self, leg: Exchange) -> None:
        if leg in self._kept:
            self._kept.remove(leg)

    def tick(self, now: float, date: bytes) -> None:
        """Called about once a second. ``date`` is the Date line of this second."""
        self.date = date
        kept = self._kept
        while kept and now - kept[0].since > self._kept_for:
            kept.pop(0).drop()

    def close(self) -> None:
        """Close what is kept; what is under way ends with its client."""
        self._closing = True
        while self._kept:
            self._kept.pop().drop()

    def _take(self, now: float) -> Exchange | None:
        """The connection used last, if it is still young and whole."""
        while self._kept:
            leg = self._kept.pop()
            idle = now - leg.since
            if idle <= self._kept_for and leg.whole(look=idle > LOOKED_AT_AFTER):
                return leg
            leg.drop()
        return None

    async def _connect(self, leg: Leg) -> None:
        """Make the connection of ``leg``. The name is resolved each time, because containers come back elsewhere."""
        status, error = 502, ""
        try:
            async with asyncio.timeout(self.connect_timeout):
                await asyncio.get_running_loop().create_connection(lambda: leg, self.host, self.port)
        except TimeoutError:
            status, error = 504, "connection_timeout"
        except (socket.gaierror, UnicodeError):
            error = "dns_error"
        except ConnectionRefusedError:
            error = "connection_refused"
        except OSError:
            error = "destination_unavailable"
        leg.connecting = None
        if error:
            leg.fail(status, "timeout" if status == 504 else "connect", error)
