"""The client's socket: held back or not, and ended in one of three ways."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from sidecar.edge.cork import Cork, Corked
from sidecar.edge.data.delivery import acknowledged

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, and say that it was no end


def peer(transport: asyncio.BaseTransport) -> str:
    """The address at the other end, without zone or mapping, or ``unknown`` when it has none."""
    name = transport.get_extra_info("peername")
    return str(name[0]).partition("%")[0].removeprefix("::ffff:") if isinstance(name, tuple) and name else "unknown"


class Line(Corked):
    """Pausing and resuming need not alternate, and nothing happens on a socket that is closing.

    ``paused``: we do not read. ``write`` is the transport's own, since every relayed byte goes through it, while nothing is held.
    """

    __slots__ = ("paused", "write")

    def __init__(self, transport: asyncio.Transport, cork: Cork) -> None:
        super().__init__(transport, cork)
        self.write: Callable[[bytes], None] = transport.write
        self.paused = False

    def later(self, message: bytes) -> None:
        super().later(message)
        self.write = self._behind

    def flush(self) -> None:
        self.write = self.transport.write
        super().flush()

    def _behind(self, data: bytes) -> None:
        self.flush()
        self.transport.write(data)

    def hold(self) -> None:
        """Read no more for now."""
        if not self.paused and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()

    def release(self) -> None:
        if self.paused and not self.transport.is_closing():
            self.paused = False
            self.transport.resume_reading()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to read."""
        return self.transport.get_write_buffer_size() + self.held

    @property
    def taken(self) -> int:
        """A measure of how much the client has read: it grows with every byte, by the system's count where there is one."""
        acked = acknowledged(self.transport.get_extra_info("socket"))
        return -self.unsent if acked is None else acked

    def finish(self) -> None:
        """Say no more, and go on listening."""
        self.flush()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """End when everything written has gone out."""
        self.flush()
        self.transport.close()

    def drop(self) -> None:
        """End now."""
        self.forget()
        self.transport.abort()

    def reset(self) -> None:
        """End with a reset: an end by the book would make a body that ends with the connection look whole."""
        if not self.transport.is_closing():
            self.forget()
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()
