"""Where WebSocket frames begin and end (RFC 6455 5.2), for who passes them on and wants to say a last word of its own.

A tunnel passes bytes and understands none of them. But a control frame of ours may stand only between two frames, so that is what
is counted here: the header of each frame says how long it is, and nothing else of it matters.
"""

from __future__ import annotations

GOING_AWAY = b"\x03\xe9"  # 1001: an endpoint goes down (RFC 6455 7.4.1)
CLOSE = b"\x88\x02" + GOING_AWAY
LONGEST_HEADER = 14
_LENGTHS = {126: 2, 127: 8}


def masked_close(key: bytes) -> bytes:
    """What a client sends to close: masked with the four bytes of ``key`` (RFC 6455 5.3)."""
    return b"\x88\x82" + key + bytes(octet ^ mask for octet, mask in zip(GOING_AWAY, key, strict=False))


class Frames:
    """One direction of a tunnel. ``between`` says that whatever was fed ended with a whole frame."""

    __slots__ = ("_header", "_left")

    def __init__(self) -> None:
        self._left = 0
        self._header = b""

    @property
    def between(self) -> bool:
        return not self._left and not self._header

    def feed(self, data: bytes) -> int | None:
        """Take the next bytes. Returns where in them the first frame boundary lies, or None if there is none."""
        at = 0
        first: int | None = None
        while True:
            if self._left > len(data) - at:
                self._left -= len(data) - at
                return first
            if self._left:
                at += self._left
                self._left = 0
                first = at if first is None else first
            if at == len(data):
                return first
            at = self._read_header(data, at)
            if self._header:
                return first
            if not self._left and first is None:  # an empty frame
                first = at

    def _read_header(self, data: bytes, at: int) -> int:
        """Read the header at ``at``, or as much of it as is there. Returns where it ends."""
        before = len(self._header)
        header = self._header + data[at : at + LONGEST_HEADER - before]
        size = 2
        if len(header) > 1:
            size += _LENGTHS.get(header[1] & 0x7F, 0) + (4 if header[1] & 0x80 else 0)
        if len(header) < size:
            self._header = header
            return len(data)
        self._header = b""
        length = header[1] & 0x7F
        extended = _LENGTHS.get(length, 0)
        self._left = int.from_bytes(header[2 : 2 + extended], "big") if extended else length
        return at + size - before
