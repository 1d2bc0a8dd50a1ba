"""The client's socket: held back or not, and ended in one of three ways."""

from __future__ import annotations

import asyncio
import socket
import struct

from sidecar.edge.data.delivery import acknowledged

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, and say that it was no end


def peer(transport: asyncio.BaseTransport) -> str:
    """The address at the other end, without zone or mapping, or ``unknown`` when it has none."""
    name = transport.get_extra_info("peername")
    return str(name[0]).partition("%")[0].removeprefix("::ffff:") if isinstance(name, tuple) and name else "unknown"


class Line:
    """Pausing and resuming need not alternate, and nothing happens on a socket that is closing.

    ``held``: we do not read. ``write`` is the transport's own, since every answer goes through it.
    """

    __slots__ = ("held", "transport", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.write = transport.write
        self.held = False

    def hold(self) -> None:
        """Read no more for now."""
        if not self.held and not self.transport.is_closing():
            self.held = True
            self.transport.pause_reading()

    def release(self) -> None:
        if self.held and not self.transport.is_closing():
            self.held = False
            self.transport.resume_reading()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to read."""
        return self.transport.get_write_buffer_size()

    @property
    def taken(self) -> int:
        """A measure of how much the client has read: it grows with every byte, by the system's count where there is one."""
        acked = acknowledged(self.transport.get_extra_info("socket"))
        return -self.unsent if acked is None else acked

    def finish(self) -> None:
        """Say no more, and go on listening."""
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """End when everything written has gone out."""
        self.transport.close()

    def drop(self) -> None:
        """End now."""
        self.transport.abort()

    def reset(self) -> None:
        """End with a reset: an end by the book would make a body that ends with the connection look whole."""
        if not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()
