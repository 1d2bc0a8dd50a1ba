"""What is written within a turn of the loop, sent together when it is over.

A target or a client that sleeps is woken by what is sent to it, and that is the dearest part of sending: several microseconds, more on a
virtual machine. One that still has something to do is not. So the requests of one turn go out one after the other, and so do the
answers, instead of each when it is ready: whoever was woken for the first has not gone back to sleep when the second comes.

Only whole messages are held, and nothing overtakes them.
"""

from __future__ import annotations

import asyncio


class Cork:
    """One for all that write to the same kind of peer. Needs a running loop by the first write."""

    __slots__ = ("_held", "_loop")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: list[Corked] = []

    def hold(self, one: Corked) -> None:
        if not self._held:
            loop = self._loop
            if loop is None:
                loop = self._loop = asyncio.get_running_loop()
            loop.call_soon(self._let_go)
        self._held.append(one)

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for one in held:
            one.flush()


class Corked:
    """The writing end of one connection. Whoever writes to ``transport``, or closes it, flushes before."""

    __slots__ = ("_cork", "_held", "transport")

    def __init__(self, transport: asyncio.Transport, cork: Cork) -> None:
        self.transport = transport
        self._cork = cork
        self._held = b""

    @property
    def held(self) -> int:
        """Bytes."""
        return len(self._held)

    def later(self, message: bytes) -> None:
        """Send it when this turn of the loop is over, after all that was held before."""
        if self._held:
            self._held += message
        else:
            self._held = message
            self._cork.hold(self)

    def flush(self) -> None:
        """Send what is held, now: a transport with nothing unsent does that at once."""
        message, self._held = self._held, b""
        if message and not self.transport.is_closing():
            self.transport.write(message)

    def forget(self) -> None:
        """Send it never."""
        self._held = b""
