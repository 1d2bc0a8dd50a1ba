"""What flows once 101 went out: bytes both ways, and a last word when we have to go.

A WebSocket that simply ends shows its client 1006, which means that something broke. So the frames are counted as they pass, and at
the end each side gets a Close with 1001, going away, where a frame of ours may stand. What is no WebSocket passes uncounted.
"""

from __future__ import annotations

import secrets

from sidecar.edge.data.exchange import Way
from sidecar.edge.data.line import Line
from sidecar.wire.frames import CLOSE, Frames, masked_close


class Tunnel:
    def __init__(self, leg: Way, line: Line, protocol: bytes) -> None:
        self._leg = leg
        self._line = line
        counted = protocol.lower() == b"websocket"
        self._up = Frames() if counted else None
        self._down = Frames() if counted else None
        self._leaving = False
        self.half_closed = False

    def to_gateway(self, data: bytes) -> None:
        if self._leaving:  # its side has its Close already: what still comes is the client's answer to ours
            return
        if self._up is not None:
            self._up.feed(data)
        self._leg.send(data)

    def to_client(self, data: bytes) -> bool:
        """Pass data on. Returns whether the last word is said, so that the tunnel is over."""
        if self._down is None:
            self._line.write(data)
            return False
        boundary = self._down.feed(data)
        if not self._leaving or boundary is None:
            self._line.write(data)
            return False
        self._line.write(data[:boundary] + CLOSE)
        return True

    def leave(self) -> bool:
        """Say goodbye to both. Returns whether the tunnel is over: else the client gets its word at the end of a frame."""
        if self._down is None or self._up is None or self._leaving or self.half_closed:
            return False
        self._leaving = True
        if self._up.between:
            self._leg.send(masked_close(secrets.token_bytes(4)))
        if not self._down.between:
            return False
        self._line.write(CLOSE)
        return True
