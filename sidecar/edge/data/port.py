"""The data port as a whole: every door, their shared second, their number, and their end."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from email.utils import formatdate
from math import inf
from typing import Protocol

from sidecar.edge.cork import Cork
from sidecar.edge.data.connection import BODY, CHAT, COLLECT, COMMAND, TUNNEL, WAIT, Connection
from sidecar.edge.data.door import Door
from sidecar.edge.data.service import Terms

UNDER_WAY = {"chat": (COLLECT, COMMAND, CHAT), "relay": (BODY, WAIT), "tunnel": (TUNNEL,)}
AT_WORK = (COLLECT, COMMAND, CHAT, BODY, WAIT, TUNNEL)


MOST_TURNED_AWAY = 256  # connections beyond the limit that still get to read why
TURNED_AWAY_SHARE = 0.25  # of the ceiling, where that is less: they take descriptors, too
IDLE_SHARE = 0.5  # of the grace: how long a connection without a request may still bring one while we drain
FAREWELL = 1.0  # seconds before the end of the grace at which WebSockets are told that we go
PULSE = 0.1  # seconds between two looks at how late the loop is
LONG_TURN = (
    0.005  # seconds: with turns of the loop as long as this, new connections do not get in fast enough by themselves
)
PULSES = 5  # that must all have been late


class Crowded(Protocol):
    def __call__(self, *, late: bool) -> None:
        """Told at each pulse whether the turns of the loop are long."""


class DataPort:
    """The protocol factory of the listening socket. ``terms`` is replaced by a reload; a request reads it once.

    ``ceiling`` bounds the connections whatever the terms say: each costs up to two descriptors of the process.
    """

    def __init__(self, terms: Terms, *, tick: float = 1.0, ceiling: int = 1_000_000) -> None:
        self.terms = terms
        self.date = b""
        self.cork = Cork()
        self.draining = False
        self.idle_until = inf
        self._latest = deque([0.0], maxlen=PULSES)
        self.late = 0.0
        """Seconds that everybody has to wait for their turn, for a while already.

        The least of the last few pulses, after CoDel (RFC 8289): a queue that drains now and then is no overload, and one stall
        is soon made up for.
        """
        self.chats = 0
        self.waiting = 0
        self.unread = 0
        self.ceiling = ceiling
        self.crowded: Crowded | None = None
        self._tick = tick
        self._doors: set[Connection] = set()
        self._turned_away: set[Connection] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._empty: asyncio.Future[None] | None = None

    def __call__(self) -> Door:
        return Door(self)

    def __len__(self) -> int:
        return len(self._doors) + len(self._turned_away)

    def under_way(self, kind: str) -> int:
        """How many doors are at work on a ``chat``, a ``relay`` or a ``tunnel``."""
        states = UNDER_WAY[kind]
        return sum(door.state in states for door in self._doors)

    def start(self) -> None:
        """Begin to tick. Needs a running loop."""
        self._second()
        self._pulse(asyncio.get_running_loop().time())

    def stop(self) -> None:
        while self._timers:
            self._timers.popitem()[1].cancel()

    def enter(self, door: Connection) -> bool:
        """Returns whether there is room for it. Who comes when even saying no has become too much is dropped."""
        if len(self._doors) < min(self.terms.connections, self.ceiling):
            self._doors.add(door)
            return True
        self._turned_away.add(door)
        if len(self._turned_away) > min(MOST_TURNED_AWAY, self.ceiling * TURNED_AWAY_SHARE):
            door.drop()
        return False

    def leave(self, door: Connection) -> None:
        self._doors.discard(door)
        self._turned_away.discard(door)
        if not len(self) and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def drain(self, grace: float) -> int:
        """Finish what is under way and answer what still comes on open connections; after ``grace`` seconds cut what is left.

        Connections without a request are kept for a part of the grace, for a client may just be sending one. Returns how
        many had to be cut.
        """
        self.draining = True
        self.idle_until = self.terms.now() + grace * IDLE_SHARE
        for door in tuple(self._doors):
            door.drain()
        await self._emptied(max(grace - FAREWELL, 0))
        for door in tuple(self._doors):
            door.farewell()
        await self._emptied(min(grace, FAREWELL))
        cut = sum(door.state in AT_WORK for door in self._doors)
        for door in (*self._doors, *self._turned_away):
            door.abort()
        self.stop()
        return cut

    async def _emptied(self, patience: float) -> None:
        """Wait until nobody is there any more, or ``patience`` is over."""
        if not len(self) or not patience:
            return
        self._empty = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._empty

    def _second(self) -> None:
        """The coarse tick: one pass over all deadlines, one Date for everybody."""
        self._timers["second"] = asyncio.get_running_loop().call_later(self._tick, self._second)
        terms = self.terms
        now = terms.now()
        self.date = b"Date: " + formatdate(usegmt=True).encode()
        terms.relay.tick(now, self.date)
        for door in [door for door in (*self._doors, *self._turned_away) if door.deadline <= now]:
            door.overdue(now)

    def _pulse(self, due: float) -> None:
        """How late this comes is how long whoever came meanwhile has waited."""
        loop = asyncio.get_running_loop()
        late = max(loop.time() - due, 0.0)
        self._latest.append(late)
        self.late = min(self._latest)
        if self.crowded is not None and not self.draining:
            self.crowded(late=late > LONG_TURN)
        due = loop.time() + PULSE
        self._timers["pulse"] = loop.call_at(due, self._pulse, due)
