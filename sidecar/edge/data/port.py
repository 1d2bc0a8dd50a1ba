"""The data port as a whole: every door, their shared second, their number, and their end."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

from sidecar.edge.data.connection import BODY, CHAT, COLLECT, TUNNEL, WAIT, Connection
from sidecar.edge.data.door import Door
from sidecar.edge.data.service import Terms

UNDER_WAY = {"chat": (COLLECT, CHAT), "relay": (BODY, WAIT), "tunnel": (TUNNEL,)}


class DataPort:
    """The protocol factory of the listening socket. ``terms`` is replaced by a reload; a request reads it once."""

    def __init__(self, terms: Terms, *, tick: float = 1.0) -> None:
        self.terms = terms
        self.date = b""
        self.draining = False
        self._tick = tick
        self._doors: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None

    def __call__(self) -> Door:
        return Door(self)

    def __len__(self) -> int:
        return len(self._doors)

    def under_way(self, kind: str) -> int:
        """How many doors are at work on a ``chat``, a ``relay`` or a ``tunnel``."""
        states = UNDER_WAY[kind]
        return sum(door.state in states for door in self._doors)

    def start(self) -> None:
        """Begin to tick. Needs a running loop."""
        self._second()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def enter(self, door: Connection) -> bool:
        """Returns whether there is room for it."""
        self._doors.add(door)
        return len(self._doors) <= self.terms.connections

    def leave(self, door: Connection) -> None:
        self._doors.discard(door)
        if not self._doors and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def drain(self, grace: float) -> int:
        """Finish what is under way, take nothing new, and after ``grace`` seconds cut what is left. Returns how many were cut."""
        self.draining = True
        for door in tuple(self._doors):
            door.drain()
        if self._doors:
            self._empty = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(grace):
                    await self._empty
            except TimeoutError:
                pass
        left = tuple(self._doors)
        for door in left:
            door.abort()
        self.stop()
        return len(left)

    def _second(self) -> None:
        """The coarse tick: one pass over all deadlines, one Date for everybody."""
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._second)
        terms = self.terms
        now = terms.now()
        self.date = b"Date: " + formatdate(usegmt=True).encode()
        terms.relay.tick(now, self.date)
        for door in [door for door in self._doors if door.deadline <= now]:
            door.overdue(now)
